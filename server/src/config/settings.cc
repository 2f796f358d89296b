#include "config/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/text.h"

namespace mc::config {
namespace {
constexpr std::string_view kPrefix = "MAESTRO_";
constexpr std::string_view kFileSuffix = "_FILE";
constexpr std::size_t kSecretLeast = 32;

// Variables of the CLI, of jobs (a job may start maestro) and of tests: not settings.
constexpr std::array<std::string_view, 27> kOthers = {
    "MAESTRO_URL",           "MAESTRO_TOKEN",       "MAESTRO_TOKEN_FILE",  "MAESTRO_CONTEXT",
    "MAESTRO_CONFIG",        "MAESTRO_OUTPUT",      "MAESTRO_ENV",         "MAESTRO_SUMMARY",
    "MAESTRO_ANNOTATIONS",   "MAESTRO_RUN_ID",      "MAESTRO_JOB_ID",      "MAESTRO_STEP_ID",
    "MAESTRO_ATTEMPT",       "MAESTRO_WORKFLOW",    "MAESTRO_ENVIRONMENT", "MAESTRO_ACTOR",
    "MAESTRO_ARTIFACTS_DIR", "MAESTRO_SERVICE_DIR", "MAESTRO_TASK_ID",     "MAESTRO_WORKSPACE",
    "MAESTRO_WORKER_HOME",   "MAESTRO_TEST_MARK",   "MAESTRO_CACHE",       "MAESTRO_RUN_URL",
    "MAESTRO_SECRETS",       "MAESTRO_NO_COLOR",    "MAESTRO_PAGER"};

struct Given {
  std::string value;
  std::string origin;
};

const std::string* find(const Pairs& pairs, std::string_view name) {
  for (const auto& [key, value] : pairs) {
    if (key == name) return &value;
  }
  return nullptr;
}

// What is wrong with "a=3,b=1"; empty: nothing, and `out` has it.
std::string read_weights(const Setting& setting, std::string_view value,
                         std::map<std::string, int>& out) {
  if (trim(value).empty()) return "";
  for (const std::string& part : split(value, ',')) {
    const std::string_view entry = trim(part);
    const std::size_t equals = entry.find('=');
    const std::string name(trim(entry.substr(0, equals)));
    const std::string_view number =
        equals == std::string_view::npos ? "" : trim(entry.substr(equals + 1));
    if (!is_name(name) || number.empty()) return "PROJECT=WEIGHT is wanted, with commas between";
    int weight = 0;
    const auto end = number.data() + number.size();
    const auto read = std::from_chars(number.data(), end, weight);
    if (read.ec != std::errc{} || read.ptr != end || weight < setting.min || weight > setting.max)
      return fmt::format("the weight of {} must be a whole number from {} to {}", name, setting.min,
                         setting.max);
    if (!out.emplace(name, weight).second) return "the project " + name + " is there twice";
  }
  return "";
}

class Reader {
 public:
  explicit Reader(const Sources& sources) : sources_(sources) {}

  Result<Settings> read() {
    read_file();
    check_names();
    Settings out;
    for (const Setting& setting : settings_table()) {
      Given given = find_value(setting);
      // An empty variable is as good as none: orchestrators set variables to nothing.
      if (given.value.empty()) given = {std::string(setting.fallback), "default"};
      out.origins.emplace_back(setting.name, given.origin);
      store(setting, given, out);
    }
    if (out.lease < out.heartbeat * 3)
      wrong("lease", "must be at least three times heartbeat, or live workers lose their jobs");
    if (problems_.empty()) return out;
    Error error{Code::invalid_setting, problems_.front().message, std::move(problems_)};
    if (error.problems.size() > 1)
      error.message += fmt::format(" (and {} more)", error.problems.size() - 1);
    return error;
  }

 private:
  void wrong(std::string_view where, std::string what, std::string hint = {}, int line = 0) {
    problems_.push_back(
        {line, 0, "invalid_setting", std::string(where) + ": " + std::move(what), std::move(hint)});
  }

  void read_file() {
    Result<std::vector<FileLine>> lines =
        read_settings_file(sources_.file_name, sources_.file_text);
    if (lines) {
      file_ = std::move(*lines);
      return;
    }
    for (const Problem& problem : lines.error().problems)
      wrong(sources_.file_name + ":" + std::to_string(problem.line), problem.message, problem.hint,
            problem.line);
  }

  static std::string did_you_mean(std::string_view word, const std::vector<std::string>& names) {
    const auto near = nearest(word, names);
    return near ? "did you mean " + *near + "?" : "docs/reference/settings.md has them all";
  }

  void check_names() {
    std::vector<std::string> names, variables, flags;
    for (const Setting& setting : settings_table()) {
      names.emplace_back(setting.name);
      variables.emplace_back(setting.variable);
      variables.push_back(std::string(setting.variable) + std::string(kFileSuffix));
      if (!setting.flag.empty()) flags.emplace_back(setting.flag);
    }
    const auto has = [](const auto& list, std::string_view name) {
      return std::find(list.begin(), list.end(), name) != list.end();
    };
    for (const FileLine& line : file_) {
      if (!has(names, line.name))
        wrong(sources_.file_name + ":" + std::to_string(line.line),
              "the setting " + line.name + " is not known", did_you_mean(line.name, names),
              line.line);
    }
    for (const auto& [name, value] : sources_.environment) {
      if (name.starts_with(kPrefix) && !has(variables, name) && !has(kOthers, name))
        wrong(name, "this variable is not known", did_you_mean(name, variables));
    }
    for (const auto& [name, value] : sources_.flags) {
      if (!has(flags, name)) wrong(name, "this flag is not known", did_you_mean(name, flags));
    }
  }

  Given find_value(const Setting& setting) {
    const std::string variable(setting.variable);
    const std::string* value = find(sources_.environment, variable);
    const std::string* path = find(sources_.environment, variable + std::string(kFileSuffix));
    const bool has_value = value != nullptr && !value->empty();
    const bool has_path = path != nullptr && !path->empty();
    if (has_value && has_path)
      wrong(variable, "both " + variable + " and " + variable + "_FILE are set: unset one");
    if (const std::string* flag = find(sources_.flags, setting.flag)) {
      if (flag->empty())
        wrong(std::string(setting.flag), "has no value: give one, or leave the flag out");
      return {*flag, std::string(setting.flag)};
    }
    if (has_value) return {*value, variable};
    if (has_path) return read_value_file(variable + std::string(kFileSuffix), *path);
    for (const FileLine& line : file_) {
      if (line.name == setting.name)
        return {line.value, sources_.file_name + ":" + std::to_string(line.line)};
    }
    return {};
  }

  Given read_value_file(const std::string& variable, const std::string& path) {
    const Result<std::string> text =
        sources_.read_file ? sources_.read_file(path)
                           : Error{Code::invalid_setting, "files cannot be read here", {}};
    if (text) return {std::string(trim(*text)), variable};
    wrong(variable, text.error().message);
    return {};
  }

  // What is wrong with the value; "" when nothing is.
  static std::string check(const Setting& setting, const std::string& value) {
    switch (setting.kind) {
      case Kind::text:
      case Kind::list: return {};
      case Kind::url: {
        const std::size_t scheme = value.find("://");
        const bool fine = value.empty() ||
                          (scheme != std::string::npos && scheme > 0 && value.size() > scheme + 3);
        return fine ? "" : "a URL is wanted, with its scheme";
      }
      case Kind::boolean:
        return value == "true" || value == "false" ? "" : "true or false is wanted";
      case Kind::integer: {
        std::int64_t number = 0;
        const char* end = value.data() + value.size();
        const auto read = std::from_chars(value.data(), end, number);
        const bool fine = read.ec == std::errc{} && read.ptr == end && number >= setting.min &&
                          number <= setting.max;
        return fine ? ""
                    : fmt::format("an integer from {} to {} is wanted", setting.min, setting.max);
      }
      case Kind::duration: {
        const auto span = parse_duration(value);
        const bool fine = span && span->count() >= setting.min && span->count() <= setting.max;
        return fine ? ""
                    : "a duration from " + to_duration_text(Millis(setting.min)) + " to " +
                          to_duration_text(Millis(setting.max)) + " is wanted";
      }
      case Kind::choice: {
        const std::vector<std::string> names = split(setting.choices, ',');
        const bool fine = std::find(names.begin(), names.end(), to_lower(value)) != names.end();
        return fine ? "" : "one of " + join(names, ", ") + " is wanted";
      }
      case Kind::weights: {
        std::map<std::string, int> weights;
        return read_weights(setting, value, weights);
      }
      case Kind::address: {
        const std::size_t colon = value.rfind(':');
        return colon != std::string::npos && colon + 1 < value.size() ? "" : "HOST:PORT is wanted";
      }
    }
    return {};
  }

  void store(const Setting& setting, const Given& given, Settings& out);

  const Sources& sources_;
  std::vector<FileLine> file_;
  std::vector<Problem> problems_;
};

template <class T>
struct Target {
  std::string_view name;
  T Settings::* field;
};

constexpr std::array<Target<std::string>, 24> kTexts = {{
    {"listen", &Settings::listen},
    {"data", &Settings::data},
    {"advertise", &Settings::advertise},
    {"public_url", &Settings::public_url},
    {"name", &Settings::name},
    {"log_level", &Settings::log_level},
    {"log_format", &Settings::log_format},
    {"postgres_url", &Settings::postgres_url},
    {"redis_url", &Settings::redis_url},
    {"jwt_secret", &Settings::jwt_secret},
    {"session_secret", &Settings::session_secret},
    {"auth0_domain", &Settings::auth0_domain},
    {"auth0_client_id", &Settings::auth0_client_id},
    {"auth0_client_secret", &Settings::auth0_client_secret},
    {"otel_exporter_otlp_endpoint", &Settings::otel_exporter_otlp_endpoint},
    {"pagerduty_routing_key", &Settings::pagerduty_routing_key},
    {"github_token", &Settings::github_token},
    {"s3_bucket", &Settings::s3_bucket},
    {"s3_endpoint", &Settings::s3_endpoint},
    {"s3_region", &Settings::s3_region},
    {"s3_access_key_id", &Settings::s3_access_key_id},
    {"s3_secret_access_key", &Settings::s3_secret_access_key},
    {"s3_style", &Settings::s3_style},
    {"s3_prefix", &Settings::s3_prefix},
}};
constexpr std::array<Target<std::int64_t>, 7> kIntegers = {{
    {"worker_slots", &Settings::worker_slots},
    {"http_threads", &Settings::http_threads},
    {"connections_max", &Settings::connections_max},
    {"rate_limit", &Settings::rate_limit},
    {"rate_burst", &Settings::rate_burst},
    {"open_runs_max", &Settings::open_runs_max},
    {"s3_cache_mib", &Settings::s3_cache_mib},
}};
constexpr std::array<Target<Millis>, 9> kDurations = {{
    {"drain_timeout", &Settings::drain_timeout},
    {"heartbeat", &Settings::heartbeat},
    {"lease", &Settings::lease},
    {"keep_receipts", &Settings::keep_receipts},
    {"keep_deleted_runs", &Settings::keep_deleted_runs},
    {"keep_artifacts", &Settings::keep_artifacts},
    {"keep_caches", &Settings::keep_caches},
    {"blob_grace", &Settings::blob_grace},
    {"s3_log_interval", &Settings::s3_log_interval},
}};
constexpr std::array<Target<std::vector<std::string>>, 2> kLists = {{
    {"feature_flags", &Settings::feature_flags},
    {"worker_labels", &Settings::worker_labels},
}};

template <class T, std::size_t N>
T* field_of(const std::array<Target<T>, N>& targets, std::string_view name, Settings& out) {
  for (const Target<T>& target : targets) {
    if (target.name == name) return &(out.*target.field);
  }
  return nullptr;
}

void Reader::store(const Setting& setting, const Given& given, Settings& out) {
  const std::string problem = check(setting, given.value);
  if (!problem.empty()) {
    const std::string shown = setting.secret ? "" : ", not \"" + to_valid_utf8(given.value) + "\"";
    return wrong(given.origin, problem + shown);
  }
  if (std::string* text = field_of(kTexts, setting.name, out)) {
    *text = setting.kind == Kind::choice ? to_lower(given.value) : given.value;
    return;
  }
  if (std::int64_t* number = field_of(kIntegers, setting.name, out)) {
    std::from_chars(given.value.data(), given.value.data() + given.value.size(), *number);
    return;
  }
  if (Millis* span = field_of(kDurations, setting.name, out)) {
    *span = *parse_duration(given.value);
    return;
  }
  if (setting.kind == Kind::weights) {
    MC_CHECK(setting.name == "project_weights");
    read_weights(setting, given.value, out.project_weights);
    return;
  }
  std::vector<std::string>* list = field_of(kLists, setting.name, out);
  MC_CHECK(list != nullptr);  // a row of the table without a field
  for (const std::string& part : split(given.value, ',')) {
    if (!trim(part).empty()) list->emplace_back(trim(part));
  }
}

// Values that stand in examples and manifests everywhere.
bool is_known_default(const std::string& value) {
  constexpr std::array<std::string_view, 10> kDefaults = {
      "change-me", "changeme", "change_me", "replace-me",  "replaceme",
      "example",   "default",  "password",  "placeholder", "insecure"};
  const std::string lower = to_lower(value);
  const bool named = std::any_of(kDefaults.begin(), kDefaults.end(), [&](std::string_view each) {
    return lower.find(each) != std::string::npos;
  });
  const bool one_letter = lower.find_first_not_of(lower.front()) == std::string::npos;
  return named || one_letter || lower == "...";
}
}  // namespace

Result<Settings> read_settings(const Sources& sources) { return Reader(sources).read(); }

Status check_for_cluster(const Settings& settings) {
  std::vector<Problem> problems;
  const auto wrong = [&](std::string_view name, std::string_view what) {
    problems.push_back({0, 0, "invalid_setting", std::string(name) + " " + std::string(what), {}});
  };
  if (settings.postgres_url.empty()) wrong("POSTGRES_URL", "is not set");
  for (const auto& [name, value] : {std::pair("JWT_SECRET", &settings.jwt_secret),
                                    std::pair("SESSION_SECRET", &settings.session_secret)}) {
    if (value->empty()) {
      wrong(name, "is not set");
    } else if (value->size() < kSecretLeast) {
      wrong(name, "is shorter than 32 bytes");
    } else if (is_known_default(*value)) {
      wrong(name, "is the value of an example: make one of your own");
    }
  }
  for (const auto& [name, value] :
       {std::pair("AUTH0_CLIENT_SECRET", &settings.auth0_client_secret),
        std::pair("PAGERDUTY_ROUTING_KEY", &settings.pagerduty_routing_key),
        std::pair("GITHUB_TOKEN", &settings.github_token)}) {
    if (!value->empty() && is_known_default(*value))
      wrong(name, "is the value of an example: set your own, or leave it out");
  }
  if (problems.empty()) return {};
  std::vector<std::string> texts;
  for (const Problem& problem : problems) texts.push_back(problem.message);
  return Error{Code::invalid_setting, join(texts, "; "), std::move(problems)};
}

std::string settings_markdown() {
  std::string out =
      "# Settings\n\n"
      "A flag wins over the environment, the environment over the file, the file over the "
      "default.\n"
      "Each variable may have `_FILE` behind its name and then names a file with the value; "
      "setting\n"
      "both is an error. The file is `/etc/maestro/config.yaml`, or what `MAESTRO_CONFIG` names:\n"
      "`key: value` lines with the keys below. Unknown keys, flags and `MAESTRO_` variables are\n"
      "errors. Durations are written as `1h30m`.\n\n"
      "| Key | Flag | Variable | Default | Values | What it is |\n"
      "|---|---|---|---|---|---|\n";
  for (const Setting& setting : settings_table()) {
    std::string values;
    if (setting.kind == Kind::integer) values = fmt::format("{} to {}", setting.min, setting.max);
    if (setting.kind == Kind::duration)
      values =
          to_duration_text(Millis(setting.min)) + " to " + to_duration_text(Millis(setting.max));
    if (setting.kind == Kind::choice) values = join(split(setting.choices, ','), ", ");
    if (setting.kind == Kind::url) values = "URL";
    if (setting.kind == Kind::address) values = "HOST:PORT";
    if (setting.kind == Kind::list) values = "list";
    if (setting.kind == Kind::weights)
      values = fmt::format("PROJECT=WEIGHT list, {} to {}", setting.min, setting.max);
    if (setting.secret) values += values.empty() ? "secret" : ", secret";
    const auto code = [](std::string_view text) {
      return text.empty() ? std::string() : "`" + std::string(text) + "`";
    };
    out += fmt::format("| `{}` | {} | `{}` | {} | {} | {} |\n", setting.name, code(setting.flag),
                       setting.variable, code(setting.fallback), values, setting.description);
  }
  return out;
}
}  // namespace mc::config
