// The table of verbs: the one place that says what `maestro` takes. Parsing, help, completion, the
// man page and docs/reference/cli.md are all made from it.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/time.h"

namespace mc::cli {

class Session;

struct Argument {
  std::string name;  // "RUN"
  std::string help;
  bool required = true;
  bool many = false;  // takes the rest; only the last may
};

struct Option {
  std::string name;    // "--limit"
  std::string letter;  // "-n", or empty
  std::string value;   // "N"; empty: a flag
  std::string help;
  bool many = false;  // may be given several times
  std::vector<std::string> choices = {};
};

// What was given, by name: "RUN", "--limit". Flags hold one empty text.
class Args {
 public:
  void add(const std::string& name, std::string value) {
    values_[name].push_back(std::move(value));
  }
  bool has(const std::string& name) const { return values_.contains(name); }
  // The last value given, or `fallback`.
  std::string get(const std::string& name, std::string_view fallback = "") const;
  const std::vector<std::string>& all(const std::string& name) const;
  // Errors: usage, naming the option.
  Result<std::int64_t> number(const std::string& name, std::int64_t fallback, std::int64_t least,
                              std::int64_t most) const;
  Result<Millis> duration(const std::string& name, Millis fallback) const;

 private:
  std::map<std::string, std::vector<std::string>> values_;
};

// The exit code, or an Error that is printed and gives its own.
using Handler = std::function<Result<int>(Session&, const Args&)>;

struct Verb {
  std::string path;     // "runs list"
  std::string summary;  // one line, imperative, without a full stop
  std::vector<Argument> arguments;
  std::vector<Option> options;
  Handler run;
  std::string details = {};  // paragraphs, for help and the manual
};

// Every verb, in the order in which help shows them.
const std::vector<Verb>& all_verbs();
// What every verb takes besides its own options.
const std::vector<Option>& global_options();
// Nullptr: no such verb.
const Verb* find_verb(std::string_view path);
// First words in order, each once: "up", "runs", ….
std::vector<std::string> first_words();
// What the second words of `first` are; empty when it is a verb itself.
std::vector<std::string> second_words(std::string_view first);

// "maestro runs list [--limit N] [RUN]".
std::string usage_line(const Verb& verb);
// What `maestro VERB --help` prints.
std::string verb_help(const Verb& verb);
std::string group_help(std::string_view first);
std::string main_help();

// Verbs by file; all_verbs() strings them together.
std::vector<Verb> server_verbs();    // up, serve, worker
std::vector<Verb> local_verbs();     // exec, validate, plan
std::vector<Verb> run_verbs();       // run
std::vector<Verb> runs_verbs();      // runs …
std::vector<Verb> runs_log_verbs();  // runs watch, logs, events, diff, open
std::vector<Verb> workflow_verbs();
std::vector<Verb> approval_verbs();  // approve, reject, signal, why
std::vector<Verb> schedule_verbs();
std::vector<Verb> worker_verbs();
std::vector<Verb> token_verbs();
std::vector<Verb> secret_verbs();  // secrets, vars
std::vector<Verb> context_verbs();
std::vector<Verb> upkeep_verbs();  // doctor, migrate, backup, bench
std::vector<Verb> about_verbs();   // schema, completion, man, version

}  // namespace mc::cli
