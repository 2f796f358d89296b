// The settings of a server: read from flags, environment and file, checked against one table.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/time.h"

namespace mc::config {

enum class Kind : std::uint8_t {
  text,
  url,
  boolean,
  integer,
  duration,
  choice,
  list,
  address,
  weights
};

struct Setting {
  std::string_view name;      // in the file: "worker_slots"
  std::string_view flag;      // "--worker-slots"; empty: none
  std::string_view variable;  // "MAESTRO_WORKER_SLOTS"; with _FILE behind it: a file that has it
  Kind kind;
  std::string_view fallback;  // the default, as it would be written
  std::int64_t min;           // integers; milliseconds of durations; each of weights
  std::int64_t max;
  std::string_view choices;  // with commas between
  bool secret;
  std::string_view description;
};
std::span<const Setting> settings_table();

using Pairs = std::vector<std::pair<std::string, std::string>>;

struct Sources {
  Pairs flags;        // {"--listen", "0.0.0.0:4000"}
  Pairs environment;  // all of it; what is not ours is left alone
  std::string file_name = "/etc/maestro/config.yaml";
  std::string file_text;  // "" when there is none
  // Reads what a …_FILE variable names.
  std::function<Result<std::string>(const std::string& path)> read_file;
};

struct Settings {
  std::string listen, advertise, data, public_url, name, log_level, log_format;
  std::string postgres_url, redis_url, jwt_secret, session_secret;
  std::string auth0_domain, auth0_client_id, auth0_client_secret;
  std::string otel_exporter_otlp_endpoint, pagerduty_routing_key, github_token;
  std::string s3_bucket, s3_endpoint, s3_region, s3_access_key_id, s3_secret_access_key;
  std::string s3_style, s3_prefix;
  std::vector<std::string> feature_flags, worker_labels;
  std::map<std::string, int> project_weights;
  std::int64_t worker_slots = 0, http_threads = 0, connections_max = 0, rate_limit = 0;
  std::int64_t rate_burst = 0, open_runs_max = 0, s3_cache_mib = 0;
  Millis drain_timeout{0}, heartbeat{0}, lease{0}, keep_receipts{0}, keep_deleted_runs{0};
  Millis keep_artifacts{0}, keep_caches{0}, blob_grace{0}, s3_log_interval{0};

  // Where each value came from: "--listen", "MAESTRO_LISTEN", "config.yaml:3", "default".
  std::vector<std::pair<std::string, std::string>> origins;
};

// Errors: invalid_setting with every problem found: unknown names (with "did you mean"), values
// out of bounds, a variable and its _FILE both set. Variables that belong to the CLI or to jobs
// are left alone.
Result<Settings> read_settings(const Sources& sources);

// What a server that is reached by others needs besides: PostgreSQL, and secrets of 32 bytes or
// more that are not those of an example. Errors: invalid_setting naming keys, never values.
Status check_for_cluster(const Settings& settings);

// "key: value" lines, `#` comments, 'quoted' or "quoted" values. Errors: invalid_setting with
// lines.
struct FileLine {
  std::string name;
  std::string value;
  int line = 0;
};
Result<std::vector<FileLine>> read_settings_file(std::string_view name, std::string_view text);

// docs/reference/settings.md.
std::string settings_markdown();

}  // namespace mc::config
