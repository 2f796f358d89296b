#include <array>

#include "config/settings.h"

namespace mc::config {
namespace {
constexpr std::int64_t kSecond = 1000;
constexpr std::int64_t kHour = 3600 * kSecond;
constexpr std::int64_t kDay = 24 * kHour;

constexpr Setting text(std::string_view name, std::string_view flag, std::string_view variable,
                       Kind kind, std::string_view fallback, std::string_view description) {
  return {name, flag, variable, kind, fallback, 0, 0, "", false, description};
}
constexpr Setting secret(std::string_view name, std::string_view variable, Kind kind,
                         std::string_view description) {
  return {name, "", variable, kind, "", 0, 0, "", true, description};
}
constexpr Setting bounded(std::string_view name, std::string_view flag, std::string_view variable,
                          Kind kind, std::string_view fallback, std::int64_t min, std::int64_t max,
                          std::string_view description) {
  return {name, flag, variable, kind, fallback, min, max, "", false, description};
}
constexpr Setting choice(std::string_view name, std::string_view flag, std::string_view variable,
                         std::string_view fallback, std::string_view choices,
                         std::string_view description) {
  return {name, flag, variable, Kind::choice, fallback, 0, 0, choices, false, description};
}

constexpr std::array kTable = {
    text("listen", "--listen", "MAESTRO_LISTEN", Kind::address, "127.0.0.1:4000",
         "Where the server listens, HOST:PORT; port 0 takes a free one."),
    text("advertise", "", "MAESTRO_ADVERTISE", Kind::text, "",
         "Where other replicas reach this one, HOST:PORT with a numeric HOST; empty: where it "
         "listens."),
    text("data", "--data", "MAESTRO_DATA", Kind::text, "",
         "The data folder; empty: `$XDG_DATA_HOME/maestro`."),
    text("public_url", "", "PUBLIC_URL", Kind::url, "http://127.0.0.1:4000",
         "How people and webhooks reach this server: the beginning of every link."),
    text("name", "--name", "MAESTRO_NAME", Kind::text, "",
         "The name of this replica or worker; empty: the host's."),
    choice("log_level", "", "LOG_LEVEL", "info", "trace,debug,info,warn,warning,error",
           "The least serious messages that are logged."),
    choice("log_format", "", "MAESTRO_LOG_FORMAT", "auto", "auto,text,json",
           "`auto` writes text on a terminal and JSON lines elsewhere."),
    secret("postgres_url", "POSTGRES_URL", Kind::url,
           "PostgreSQL; empty: SQLite in the data folder."),
    secret("redis_url", "REDIS_URL", Kind::url,
           "Redis, which carries the rate limits; empty: each server counts alone."),
    secret("jwt_secret", "JWT_SECRET", Kind::text,
           "Signs sessions between replicas; 32 bytes or more."),
    secret("session_secret", "SESSION_SECRET", Kind::text, "Signs cookies; 32 bytes or more."),
    text("auth0_domain", "", "AUTH0_DOMAIN", Kind::text, "", "The OpenID Connect issuer's domain."),
    text("auth0_client_id", "", "AUTH0_CLIENT_ID", Kind::text, "", "The client's id there."),
    secret("auth0_client_secret", "AUTH0_CLIENT_SECRET", Kind::text, "The client's secret there."),
    text("otel_exporter_otlp_endpoint", "", "OTEL_EXPORTER_OTLP_ENDPOINT", Kind::url, "",
         "Where traces go; empty: nowhere."),
    secret("pagerduty_routing_key", "PAGERDUTY_ROUTING_KEY", Kind::text,
           "Pages people; empty: nobody is paged."),
    secret("github_token", "GITHUB_TOKEN", Kind::text,
           "Reads repositories and reports statuses; empty: neither."),
    text("feature_flags", "", "FEATURE_FLAGS", Kind::list, "",
         "Features switched on, with commas between."),
    text("s3_bucket", "", "S3_BUCKET", Kind::text, "",
         "Where artifacts, caches and logs are kept; empty: in the data folder."),
    text("s3_endpoint", "", "S3_ENDPOINT", Kind::url, "",
         "The S3 server; empty: that of AWS for the region."),
    text("s3_region", "", "S3_REGION", Kind::text, "us-east-1", "The bucket's region."),
    secret("s3_access_key_id", "S3_ACCESS_KEY_ID", Kind::text,
           "The key that may list, read, write and delete in the bucket."),
    secret("s3_secret_access_key", "S3_SECRET_ACCESS_KEY", Kind::text, "Its secret."),
    choice("s3_style", "", "S3_STYLE", "path", "path,virtual",
           "`path` asks HOST/BUCKET, `virtual` BUCKET.HOST."),
    text("s3_prefix", "", "S3_PREFIX", Kind::text, "",
         "Stands before every key in the bucket, with a slash between."),
    bounded("s3_cache_mib", "", "S3_CACHE_MIB", Kind::integer, "10240", 1, 1'000'000'000,
            "How much of the bucket's blobs is also kept in the data folder, in MiB."),
    bounded("s3_log_interval", "", "S3_LOG_INTERVAL", Kind::duration, "5s", 200, 60 * kSecond,
            "How often new lines of logs are written to the bucket."),
    bounded("worker_slots", "--worker-slots", "MAESTRO_WORKER_SLOTS", Kind::integer, "0", 0, 1024,
            "Jobs at the same time on the worker of `maestro up`: one a processor unless said; a 0 "
            "that "
            "is said: no worker."),
    text("worker_labels", "--labels", "MAESTRO_WORKER_LABELS", Kind::list, "",
         "Labels of the worker, with commas between."),
    bounded("http_threads", "", "MAESTRO_HTTP_THREADS", Kind::integer, "2", 1, 64,
            "Threads that read and write connections."),
    bounded("connections_max", "", "MAESTRO_CONNECTIONS_MAX", Kind::integer, "10000", 10, 1'000'000,
            "Connections at the same time; more are refused."),
    bounded("rate_limit", "", "MAESTRO_RATE_LIMIT", Kind::integer, "100000", 1, 1'000'000,
            "API requests a second of one token; workers are not limited."),
    bounded("rate_burst", "", "MAESTRO_RATE_BURST", Kind::integer, "100000", 1, 10'000'000,
            "API requests of one token at once."),
    bounded("open_runs_max", "", "MAESTRO_OPEN_RUNS_MAX", Kind::integer, "200000", 1, 10'000'000,
            "Runs that are not final; more are refused."),
    bounded("project_weights", "", "MAESTRO_PROJECT_WEIGHTS", Kind::weights, "", 1, 1'000,
            "How projects share busy workers, `PROJECT=WEIGHT` with commas between; a project that "
            "is not named weighs 1. The same on every replica."),
    bounded("drain_timeout", "--drain-timeout", "MAESTRO_DRAIN_TIMEOUT", Kind::duration, "30s", 0,
            kHour, "How long a server that stops waits for its jobs."),
    bounded("heartbeat", "", "MAESTRO_HEARTBEAT", Kind::duration, "2s", 100, 60 * kSecond,
            "How often workers say that they live."),
    bounded("lease", "", "MAESTRO_LEASE", Kind::duration, "15s", kSecond, kHour,
            "A worker that is silent for this long has lost its jobs."),
    bounded("keep_receipts", "", "MAESTRO_KEEP_RECEIPTS", Kind::duration, "24h", 60 * kSecond,
            30 * kDay, "How long idempotency keys are remembered."),
    bounded("keep_deleted_runs", "", "MAESTRO_KEEP_DELETED_RUNS", Kind::duration, "7d", 0,
            3650 * kDay, "How long deleted runs can still be restored from the store."),
    bounded("keep_artifacts", "", "MAESTRO_KEEP_ARTIFACTS", Kind::duration, "90d", kSecond,
            3650 * kDay, "How long artifacts are kept that say no `keep`."),
    bounded("keep_caches", "", "MAESTRO_KEEP_CACHES", Kind::duration, "30d", kSecond, 3650 * kDay,
            "How long a cache entry is kept that no job asks for."),
    bounded("blob_grace", "", "MAESTRO_BLOB_GRACE", Kind::duration, "24h", kSecond, 30 * kDay,
            "How long what was uploaded is kept though no job has ended with it; longer than your "
            "longest job."),
};
}  // namespace

std::span<const Setting> settings_table() { return kTable; }
}  // namespace mc::config
