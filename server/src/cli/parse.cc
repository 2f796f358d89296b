#include "cli/parse.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <deque>

#include "base/text.h"

namespace mc::cli {
namespace {

Error usage_error(std::string message) { return Error{Code::usage, std::move(message), {}}; }

Error unknown_verb(const std::string& word, const std::vector<std::string>& known,
                   const std::string& prefix) {
  std::string message = "there is no verb `" + prefix + word + "`";
  const auto near = nearest(word, known);
  message +=
      near ? "; did you mean `" + prefix + *near + "`?" : "; `maestro help` lists those there are";
  return usage_error(message);
}

// One option's place while CLI11 reads the words.
struct Slot {
  std::string name;
  bool flag = false;
  std::vector<std::string> values;
  CLI::Option* option = nullptr;
};

void declare(CLI::App& app, const Option& option, std::deque<Slot>& slots) {
  Slot& slot = slots.emplace_back(Slot{option.name, option.value.empty(), {}, nullptr});
  const std::string names = option.letter.empty() ? option.name : option.letter + "," + option.name;
  if (slot.flag) {
    slot.option = app.add_flag(names);
    return;
  }
  slot.option = app.add_option(names, slot.values)->allow_extra_args(false);
  slot.option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

Status check_choices(const Verb& verb, const Args& args) {
  for (const auto& options : {verb.options, global_options()}) {
    for (const Option& option : options) {
      for (const std::string& value : args.all(option.name)) {
        if (option.choices.empty()) continue;
        if (std::find(option.choices.begin(), option.choices.end(), value) != option.choices.end())
          continue;
        return usage_error(option.name + " wants one of " + join(option.choices, ", ") + ", not `" +
                           value + "`");
      }
      if (!option.many && !option.value.empty() && args.all(option.name).size() > 1)
        return usage_error(option.name + " stands twice");
    }
  }
  for (const Argument& argument : verb.arguments)
    if (argument.required && !args.has(argument.name))
      return usage_error(argument.name + " is missing: " + usage_line(verb));
  return {};
}

std::string unknown_word_text(const Verb& verb, const std::string& word) {
  std::vector<std::string> known;
  for (const Option& option : verb.options) known.push_back(option.name);
  for (const Option& option : global_options()) known.push_back(option.name);
  std::string message = "`" + word + "` is not understood here";
  const std::string name = word.substr(0, word.find('='));
  if (const auto near = nearest(name, known)) message += "; did you mean `" + *near + "`?";
  return message + " (" + usage_line(verb) + ")";
}

// Words that are no options, in order, to the verb's arguments.
Status assign(const Verb& verb, const std::vector<std::string>& words, Args& args) {
  std::size_t at = 0;
  for (const Argument& argument : verb.arguments) {
    for (bool first = true; at < words.size() && (first || argument.many); first = false)
      args.add(argument.name, words[at++]);
  }
  if (at < words.size()) return usage_error(unknown_word_text(verb, words[at]));
  return {};
}

Result<CommandLine> parse_words(const Verb& verb, std::vector<std::string> words) {
  // Behind `--` nothing is an option.
  const auto bar = std::find(words.begin(), words.end(), "--");
  const std::vector<std::string> literal(bar == words.end() ? bar : bar + 1, words.end());
  words.erase(bar, words.end());
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  std::deque<Slot> slots;
  for (const Option& option : verb.options) declare(app, option, slots);
  for (const Option& option : global_options()) declare(app, option, slots);
  try {
    std::reverse(words.begin(), words.end());
    app.parse(words);
  } catch (const CLI::ParseError& problem) {
    return usage_error(std::string(problem.what()) + " (" + usage_line(verb) + ")");
  }
  CommandLine line{.verb = &verb, .args = {}, .text = {}};
  for (const Slot& slot : slots) {
    if (slot.option->count() == 0) continue;
    if (slot.flag) line.args.add(slot.name, "");
    for (const std::string& value : slot.values) line.args.add(slot.name, value);
  }
  if (line.args.has("--help")) return CommandLine{nullptr, {}, verb_help(verb)};
  std::vector<std::string> rest = app.remaining();
  for (const std::string& word : rest)
    if (word.size() > 1 && word.front() == '-') return usage_error(unknown_word_text(verb, word));
  rest.insert(rest.end(), literal.begin(), literal.end());
  if (Status fine = assign(verb, rest, line.args); !fine.ok()) return fine.error();
  if (Status fine = check_choices(verb, line.args); !fine.ok()) return fine.error();
  return line;
}

bool takes_value(const std::string& word) {
  for (const Option& option : global_options())
    if (!option.value.empty() && (word == option.name || word == option.letter)) return true;
  return false;
}

}  // namespace

Result<CommandLine> parse_command_line(std::span<const std::string> words) {
  // Options that everything takes may also stand before the verb.
  std::vector<std::string> before;
  std::size_t at = 0;
  while (at < words.size() && words[at].starts_with("-") && words[at].size() > 1) {
    if (words[at] == "-h" || words[at] == "--help") return CommandLine{nullptr, {}, main_help()};
    if (words[at] == "--version") return parse_command_line(std::vector<std::string>{"version"});
    before.push_back(words[at]);
    if (takes_value(words[at]) && at + 1 < words.size()) before.push_back(words[++at]);
    ++at;
  }
  if (at == words.size()) return CommandLine{nullptr, {}, main_help()};
  const std::string first = words[at++];
  if (first == "help") {
    std::vector<std::string> again(words.begin() + static_cast<std::ptrdiff_t>(at), words.end());
    again.emplace_back("--help");
    return parse_command_line(again);
  }
  const Verb* verb = find_verb(first);
  const std::vector<std::string> seconds = second_words(first);
  if (verb == nullptr && seconds.empty()) return unknown_verb(first, first_words(), "");
  if (!seconds.empty() && at < words.size()) {
    if (const Verb* deeper = find_verb(first + " " + words[at])) {
      verb = deeper;
      ++at;
    }
  }
  if (verb == nullptr) {
    if (at == words.size() || words[at] == "-h" || words[at] == "--help")
      return CommandLine{nullptr, {}, group_help(first)};
    return unknown_verb(words[at], seconds, first + " ");
  }
  before.insert(before.end(), words.begin() + static_cast<std::ptrdiff_t>(at), words.end());
  return parse_words(*verb, std::move(before));
}

}  // namespace mc::cli
