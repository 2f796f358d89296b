#include "cli/manual.h"

#include <map>
#include <set>

#include "base/text.h"
#include "cli/verb.h"
#include "cli/version.h"

namespace mc::cli {
namespace {

struct ExitCode {
  const char* code;
  const char* meaning;
};
constexpr ExitCode kExitCodes[] = {
    {"0", "all is well"},
    {"1", "the run failed (or a check of `doctor` did)"},
    {"2", "wrong usage, or an invalid definition"},
    {"3", "the run was cancelled or denied"},
    {"4", "not authenticated, or forbidden"},
    {"5", "waiting timed out; the run goes on"},
    {"6", "not found"},
    {"7", "conflict"},
    {"8", "server or network error; safe to try again"},
    {"130", "interrupted; a followed run goes on"},
};

struct Variable {
  const char* name;
  const char* meaning;
};
constexpr Variable kVariables[] = {
    {"MAESTRO_URL", "the server to talk to"},
    {"MAESTRO_TOKEN", "the token; MAESTRO_TOKEN_FILE names a file that holds it"},
    {"MAESTRO_DATA", "the local data folder"},
    {"NO_COLOR", "no colours when set; TERM=dumb does the same"},
    {"XDG_CONFIG_HOME, XDG_DATA_HOME, XDG_CACHE_HOME", "where contexts, data and caches are"},
};

std::string roff(std::string_view text) {
  std::string out;
  bool line_start = true;
  for (const char c : text) {
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else if (line_start && (c == '.' || c == '\''))
      out += std::string("\\&") + c;
    else
      out += c;
    line_start = c == '\n';
  }
  return out;
}

std::string roff_options(const std::vector<Option>& options) {
  std::string text;
  for (const Option& option : options) {
    text += ".TP\n.B ";
    if (!option.letter.empty()) text += roff(option.letter) + ", ";
    text += roff(option.name) +
            (option.value.empty() ? "" : " \\fI" + roff(option.value) + "\\fR") + "\n";
    text += roff(option.help) + "\n";
  }
  return text;
}

std::string markdown_options(const std::vector<Option>& options) {
  std::string text = "| option | |\n|---|---|\n";
  for (const Option& option : options) {
    text += "| `";
    if (!option.letter.empty()) text += option.letter + ", ";
    text += option.name + (option.value.empty() ? "" : " " + option.value) + "` | " + option.help +
            (option.many ? " (may be repeated)" : "") + " |\n";
  }
  return text;
}

std::string words(const std::vector<Option>& options) {
  std::string text;
  for (const Option& option : options) {
    text += " " + option.name;
    if (!option.letter.empty()) text += " " + option.letter;
  }
  return text;
}

// `case` arms: what may stand behind an option that takes one of a few words.
std::string value_arms() {
  std::map<std::string, std::set<std::string>> choices;
  const auto add = [&choices](const std::vector<Option>& options) {
    for (const Option& option : options) {
      if (option.choices.empty()) continue;
      const std::string names =
          option.letter.empty() ? option.name : option.letter + "|" + option.name;
      choices[names].insert(option.choices.begin(), option.choices.end());
    }
  };
  for (const Verb& verb : all_verbs()) add(verb.options);
  add(global_options());
  std::string text;
  for (const auto& [names, words] : choices)
    text += "    " + names + ") values=\"" +
            join(std::vector<std::string>(words.begin(), words.end()), " ") + "\" ;;\n";
  return text;
}

// Verbs, then words behind an option that has a few, options once a `-` is there, and files for all
// else.
std::string bash_script() {
  std::string text =
      "# bash completion for maestro; source it.\n"
      "_maestro() {\n"
      "  local word=\"${COMP_WORDS[COMP_CWORD]}\" first=\"${COMP_WORDS[1]}\" "
      "second=\"${COMP_WORDS[2]}\"\n"
      "  local options=\"\" verbs=\"\" values=\"\"\n"
      "  case \"$first $second\" in\n";
  for (const Verb& verb : all_verbs()) {
    if (verb.path.find(' ') == std::string::npos) continue;
    text += "    \"" + verb.path + "\") options=\"" + std::string(trim(words(verb.options))) +
            "\" ;;\n";
  }
  text += "    *) case \"$first\" in\n";
  for (const std::string& first : first_words()) {
    const Verb* verb = find_verb(first);
    text += "      " + first + ") " +
            (verb != nullptr ? "options=\"" + std::string(trim(words(verb->options)))
                             : "verbs=\"" + join(second_words(first), " ")) +
            "\" ;;\n";
  }
  text += "    esac ;;\n  esac\n  options=\"$options" + words(global_options()) +
          "\"\n  case \"${COMP_WORDS[COMP_CWORD-1]}\" in\n" + value_arms() +
          "    completion) values=\"bash zsh fish\" ;;\n  esac\n"
          "  COMPREPLY=()\n"
          "  if [ -n \"$values\" ]; then COMPREPLY=($(compgen -W \"$values\" -- \"$word\"))\n"
          "  elif [ \"$COMP_CWORD\" -eq 1 ]; then COMPREPLY=($(compgen -W \"" +
          join(first_words(), " ") +
          "\" -- \"$word\"))\n"
          "  elif [ \"$COMP_CWORD\" -eq 2 ] && [ -n \"$verbs\" ]; then "
          "COMPREPLY=($(compgen -W \"$verbs\" -- \"$word\"))\n"
          "  elif [[ \"$word\" == -* ]]; then COMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n"
          "  else local IFS=$'\\n'; COMPREPLY=($(compgen -f -- \"$word\")); fi\n"
          "}\n"
          "complete -o filenames -F _maestro maestro maestroctl\n";
  return text;
}

std::string fish_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

std::string fish_value(const Option& option) {
  if (option.value.empty()) return "";
  return option.choices.empty() ? " -r" : " -x -a '" + join(option.choices, " ") + "'";
}

std::string fish_script() {
  std::string text =
      "# fish completion for maestro.\ncomplete -c maestro -n __fish_use_subcommand -f\n"
      "complete -c maestro -n '__fish_seen_subcommand_from completion' -f -a 'bash zsh fish'\n";
  for (const std::string& first : first_words()) {
    const Verb* verb = find_verb(first);
    const std::string about = verb != nullptr ? verb->summary : join(second_words(first), ", ");
    text += "complete -c maestro -n __fish_use_subcommand -a " + first + " -d '" +
            fish_text(about) + "'\n";
    const std::string seconds = join(second_words(first), " ");
    for (const std::string& second : second_words(first)) {
      text += "complete -c maestro -n '__fish_seen_subcommand_from " + first +
              "; and not __fish_seen_subcommand_from " + seconds + "' -f -a " + second + " -d '" +
              fish_text(find_verb(first + " " + second)->summary) + "'\n";
    }
  }
  for (const Verb& verb : all_verbs()) {
    std::string when;
    for (const std::string& word : split(verb.path, ' '))
      when += (when.empty() ? "" : "; and ") + ("__fish_seen_subcommand_from " + word);
    for (const Option& option : verb.options)
      text += "complete -c maestro -n '" + when + "' -l " + option.name.substr(2) +
              (option.letter.empty() ? "" : " -s " + option.letter.substr(1)) + fish_value(option) +
              " -d '" + fish_text(option.help) + "'\n";
  }
  for (const Option& option : global_options())
    text += "complete -c maestro -l " + option.name.substr(2) +
            (option.letter.empty() ? "" : " -s " + option.letter.substr(1)) + fish_value(option) +
            " -d '" + fish_text(option.help) + "'\n";
  return text;
}

// zsh reads bash's scripts once its bash layer is loaded.
std::string zsh_script() {
  return "#compdef maestro maestroctl\nautoload -U +X compinit && compinit\n"
         "autoload -U +X bashcompinit && bashcompinit\n" +
         bash_script();
}

}  // namespace

std::string completion_script(const std::string& shell) {
  if (shell == "bash") return bash_script();
  if (shell == "zsh") return zsh_script();
  if (shell == "fish") return fish_script();
  return "";
}

std::string manual_page() {
  std::string text = std::string(".TH MAESTRO 1 \"\" \"maestro ") + kVersion +
                     "\" \"Maestro Conductor\"\n" +
                     ".SH NAME\nmaestro \\- durable workflows from one binary\n"
                     ".SH SYNOPSIS\n.B maestro\n.I VERB\n[options]\n.SH VERBS\n";
  for (const Verb& verb : all_verbs()) {
    text += ".SS " + roff(usage_line(verb)) + "\n" + roff(verb.summary) + ".\n";
    if (!verb.details.empty()) text += ".PP\n" + roff(verb.details) + "\n";
    for (const Argument& argument : verb.arguments)
      text += ".TP\n.I " + roff(argument.name) + "\n" + roff(argument.help) + "\n";
    text += roff_options(verb.options);
  }
  text += ".SH OPTIONS OF EVERY VERB\n" + roff_options(global_options()) + ".SH EXIT STATUS\n";
  for (const ExitCode& one : kExitCodes)
    text += ".TP\n.B " + std::string(one.code) + "\n" + roff(one.meaning) + "\n";
  text += ".SH ENVIRONMENT\n";
  for (const Variable& one : kVariables)
    text += ".TP\n.B " + std::string(one.name) + "\n" + roff(one.meaning) + "\n";
  return text;
}

std::string reference_markdown() {
  std::string text =
      "# The command line\n\nMade from the table of verbs by `maestro man --markdown`; a test "
      "compares the two.\n\n"
      "## Options of every verb\n\n" +
      markdown_options(global_options()) +
      "\nA run is named by its id, the first 4 or more characters of it when no other run's begin "
      "so, "
      "`#NUMBER`, `@latest`, `@latest:WORKFLOW`, or the address of its page.\n\n## Exit codes\n\n| "
      "code | |\n|---|---|\n";
  for (const ExitCode& one : kExitCodes)
    text += std::string("| ") + one.code + " | " + one.meaning + " |\n";
  text +=
      "\n`logs` and `list` never fail because a run failed.\n\n## Environment\n\n| variable | "
      "|\n|---|---|\n";
  for (const Variable& one : kVariables)
    text += std::string("| `") + one.name + "` | " + one.meaning + " |\n";
  text +=
      "\nWhich server: `--url`; else `MAESTRO_URL`; else `--context` or the current context of "
      "`contexts.yaml`; else the one that `maestro up` started on this machine.\n\n## Verbs\n";
  for (const Verb& verb : all_verbs()) {
    text +=
        "\n### " + verb.path + "\n\n" + verb.summary + ".\n\n```\n" + usage_line(verb) + "\n```\n";
    if (!verb.details.empty()) text += "\n" + verb.details + "\n";
    if (!verb.arguments.empty()) {
      text += "\n| argument | |\n|---|---|\n";
      for (const Argument& argument : verb.arguments)
        text += "| `" + argument.name + "` | " + argument.help + " |\n";
    }
    if (!verb.options.empty()) text += "\n" + markdown_options(verb.options);
  }
  return text;
}

}  // namespace mc::cli
