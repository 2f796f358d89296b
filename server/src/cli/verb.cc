#include "cli/verb.h"

#include <algorithm>
#include <charconv>
#include <iterator>

#include "base/text.h"

namespace mc::cli {
namespace {

std::vector<Verb> gather() {
  std::vector<Verb> verbs;
  for (auto make : {server_verbs, local_verbs, run_verbs, runs_verbs, runs_log_verbs,
                    approval_verbs, workflow_verbs, schedule_verbs, worker_verbs, token_verbs,
                    secret_verbs, context_verbs, upkeep_verbs, about_verbs}) {
    std::vector<Verb> more = make();
    std::move(more.begin(), more.end(), std::back_inserter(verbs));
  }
  return verbs;
}

std::string_view first_word(std::string_view path) { return path.substr(0, path.find(' ')); }

std::string option_head(const Option& option) {
  std::string head = option.letter.empty() ? "    " : option.letter + ", ";
  head += option.name;
  if (!option.value.empty()) head += " " + option.value;
  return head;
}

std::string two_columns(const std::vector<std::pair<std::string, std::string>>& rows) {
  std::size_t width = 0;
  for (const auto& [head, help] : rows)
    width = std::max(width, std::min<std::size_t>(head.size(), 28));
  std::string text;
  for (const auto& [head, help] : rows) {
    text += "  " + head;
    if (head.size() > width) {
      text += "\n  " + std::string(width, ' ');
    } else {
      text.append(width - head.size(), ' ');
    }
    text += "  " + help + "\n";
  }
  return text;
}

std::string options_text(const std::vector<Option>& options) {
  std::vector<std::pair<std::string, std::string>> rows;
  for (const Option& option : options) rows.emplace_back(option_head(option), option.help);
  return two_columns(rows);
}

}  // namespace

std::string Args::get(const std::string& name, std::string_view fallback) const {
  const auto found = values_.find(name);
  return found == values_.end() || found->second.empty() ? std::string(fallback)
                                                         : found->second.back();
}

const std::vector<std::string>& Args::all(const std::string& name) const {
  static const std::vector<std::string> kNone;
  const auto found = values_.find(name);
  return found == values_.end() ? kNone : found->second;
}

Result<std::int64_t> Args::number(const std::string& name, std::int64_t fallback,
                                  std::int64_t least, std::int64_t most) const {
  if (!has(name)) return fallback;
  const std::string text = get(name);
  std::int64_t value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc() || end != text.data() + text.size() || value < least || value > most) {
    return Error{Code::usage,
                 name + " wants a whole number from " + std::to_string(least) + " to " +
                     std::to_string(most) + ", not `" + text + "`",
                 {}};
  }
  return value;
}

Result<Millis> Args::duration(const std::string& name, Millis fallback) const {
  if (!has(name)) return fallback;
  const std::optional<Millis> value = parse_duration(get(name));
  if (value) return *value;
  return Error{
      Code::usage, name + " wants a duration such as 90s or 1h30m, not `" + get(name) + "`", {}};
}

const std::vector<Verb>& all_verbs() {
  static const std::vector<Verb> verbs = gather();
  return verbs;
}

const std::vector<Option>& global_options() {
  static const std::vector<Option> options = {
      {"--output",
       "-o",
       "FORMAT",
       "table, json, yaml or ndjson",
       false,
       {"table", "json", "yaml", "ndjson"}},
      {"--quiet", "-q", "", "print ids only"},
      {"--url", "", "URL", "the server to talk to"},
      {"--token-file", "", "FILE", "a file that holds the token"},
      {"--context", "", "NAME", "a context of contexts.yaml"},
      {"--no-color", "", "", "no colours"},
      {"--help", "-h", "", "show this help"},
  };
  return options;
}

const Verb* find_verb(std::string_view path) {
  for (const Verb& verb : all_verbs())
    if (verb.path == path) return &verb;
  return nullptr;
}

std::vector<std::string> first_words() {
  std::vector<std::string> words;
  for (const Verb& verb : all_verbs()) {
    const std::string word(first_word(verb.path));
    if (std::find(words.begin(), words.end(), word) == words.end()) words.push_back(word);
  }
  return words;
}

std::vector<std::string> second_words(std::string_view first) {
  std::vector<std::string> words;
  for (const Verb& verb : all_verbs())
    if (first_word(verb.path) == first && verb.path.size() > first.size())
      words.push_back(verb.path.substr(first.size() + 1));
  return words;
}

std::string usage_line(const Verb& verb) {
  std::string line = "maestro " + verb.path;
  for (const Argument& argument : verb.arguments) {
    const std::string name = argument.name + (argument.many ? "…" : "");
    line += argument.required ? " " + name : " [" + name + "]";
  }
  for (const Option& option : verb.options) {
    line += " [" + option.name + (option.value.empty() ? "" : " " + option.value) + "]";
    if (option.many) line += "…";
  }
  return line;
}

std::string verb_help(const Verb& verb) {
  std::string text = verb.summary + ".\n\nUsage: " + usage_line(verb) + "\n";
  if (!verb.details.empty()) text += "\n" + verb.details + "\n";
  if (!verb.arguments.empty()) {
    std::vector<std::pair<std::string, std::string>> rows;
    for (const Argument& argument : verb.arguments) rows.emplace_back(argument.name, argument.help);
    text += "\nArguments:\n" + two_columns(rows);
  }
  if (!verb.options.empty()) text += "\nOptions:\n" + options_text(verb.options);
  return text + "\nEverywhere:\n" + options_text(global_options());
}

std::string group_help(std::string_view first) {
  std::vector<std::pair<std::string, std::string>> rows;
  for (const std::string& word : second_words(first)) {
    const std::string path = std::string(first) + " " + word;
    rows.emplace_back(path, find_verb(path)->summary);
  }
  return "Usage: maestro " + std::string(first) + " VERB\n\n" + two_columns(rows);
}

std::string main_help() {
  std::string text =
      "maestro: durable workflows from one binary.\n\nUsage: maestro VERB [OPTIONS]\n\n";
  std::vector<std::pair<std::string, std::string>> rows;
  for (const std::string& word : first_words()) {
    const Verb* verb = find_verb(word);
    rows.emplace_back(word, verb != nullptr ? verb->summary : join(second_words(word), ", "));
  }
  text += two_columns(rows) + "\nEverywhere:\n" + options_text(global_options());
  return text +
         "\n`maestro VERB --help` says more. First steps: maestro up, then maestro run FILE.\n";
}

}  // namespace mc::cli
