#include "bin/listen.h"

#include "base/log.h"

namespace mc::bin {
namespace {
// Longer than the longest wait that a caller may ask for (GET /runs/{id}?wait=5m).
constexpr Millis kHandleTime{330'000};

bool is_loopback(const std::string& listen) {
  return listen.starts_with("127.") || listen.starts_with("localhost:") ||
         listen.starts_with("[::1]");
}
}  // namespace

std::string local_url(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  const std::string host = address.substr(0, colon);
  const bool any = host == "0.0.0.0" || host == "[::]" || host == "::" || host.empty();
  return "http://" + (any ? "127.0.0.1" : host) + address.substr(colon);
}

http::ServerOptions server_options(const config::Settings& settings) {
  http::ServerOptions options;
  options.listen = settings.listen;
  options.handle_time = kHandleTime;
  options.threads = static_cast<int>(settings.http_threads);
  options.connections_max = static_cast<int>(settings.connections_max);
  return options;
}

Result<std::unique_ptr<http::Server>> start_server(http::ServerOptions options,
                                                   http::Handler& handler) {
  const std::string listen = options.listen;
  Result<std::unique_ptr<http::Server>> server = http::Server::start(std::move(options), handler);
  if (!server.ok()) {
    const bool taken = server.error().code == Code::unreachable;
    return Error{taken ? Code::unavailable : server.error().code, server.error().message, {}};
  }
  if (!is_loopback(listen)) {
    log_warn("can be reached from other machines, without TLS: put a proxy that speaks it in front",
             {{"listen", listen}});
  }
  return server;
}

std::optional<blob::S3Settings> s3_settings(const config::Settings& settings) {
  if (settings.s3_bucket.empty()) return std::nullopt;
  constexpr std::int64_t kMiB = 1 << 20;
  blob::S3Settings out;
  out.place.endpoint = settings.s3_endpoint.empty()
                           ? "https://s3." + settings.s3_region + ".amazonaws.com"
                           : settings.s3_endpoint;
  while (out.place.endpoint.ends_with('/')) out.place.endpoint.pop_back();
  out.place.bucket = settings.s3_bucket;
  out.place.key = {.access_key_id = settings.s3_access_key_id,
                   .secret_access_key = settings.s3_secret_access_key,
                   .region = settings.s3_region};
  out.place.virtual_host = settings.s3_style == "virtual";
  out.place.prefix = settings.s3_prefix;
  if (!out.place.prefix.empty() && !out.place.prefix.ends_with('/')) out.place.prefix += '/';
  out.cache_bytes_max = settings.s3_cache_mib * kMiB;
  out.young = std::min(out.young, settings.blob_grace / 4);
  out.logs.interval = settings.s3_log_interval;
  return out;
}

StackOptions stack_options(const config::Settings& settings) {
  StackOptions options;
  options.heartbeat = settings.heartbeat;
  options.lease = settings.lease;
  options.open_runs_max = static_cast<int>(settings.open_runs_max);
  options.project_weights = settings.project_weights;
  options.keep_receipts = settings.keep_receipts;
  options.keep_deleted_runs = settings.keep_deleted_runs;
  options.collector = {.keep_artifacts = settings.keep_artifacts,
                       .keep_caches = settings.keep_caches,
                       .blob_grace = settings.blob_grace};
  options.rate_limit.per_second = static_cast<double>(settings.rate_limit);
  options.rate_limit.burst = static_cast<double>(settings.rate_burst);
  options.s3 = s3_settings(settings);
  return options;
}

}  // namespace mc::bin
