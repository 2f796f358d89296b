#include "bin/stack.h"

#include "auth/secret_box.h"
#include "base/fault.h"
#include "base/json.h"
#include "base/log.h"
#include "bin/data_folder.h"
#include "bin/shared_limits.h"
#include "cli/version.h"
#include "conductor/records.h"
#include "db/memory/memory_store.h"

namespace mc::bin {
namespace {

constexpr int kPoolThreadsWithS3 = 16;
constexpr const char* kAdminName = "admin";
constexpr const char* kClusterKind = "cluster";
constexpr const char* kKeyRecord = "secret.key";
constexpr const char* kKeyPurpose = "the key of a cluster's secrets";

// The token that the file holds, or a fresh one when there is none that the store knows: its holder
// has the folder, and with it everything that the token could give.
Status ensure_admin_token(db::Store& store, api::TokenTable& tokens, const std::string& folder,
                          const std::string& file) {
  Result<std::string> held = read_private(folder, file);
  if (!held.ok()) return held.error();
  const Instant now = system_clock().now();
  if (!held->empty() && tokens.check(*held, now).ok()) return {};
  const api::MintedToken fresh =
      api::mint(kAdminName, auth::Role::admin, std::string(api::kDefaultProject), now);
  db::Batch batch;
  for (const api::TokenRow& row : tokens.list()) {
    if (row.name != kAdminName) continue;
    batch.records.push_back(
        {std::string(conductor::kTokenKind), row.id, std::nullopt, std::nullopt});
    tokens.remove(row.id);
  }
  batch.records.push_back({std::string(conductor::kTokenKind), fresh.row.id,
                           api::token_record(fresh.row), std::nullopt});
  if (Status written = store.commit(batch); !written.ok()) return written;
  tokens.put(fresh.row);
  MC_FAULT_POINT("start.token");
  return write_private(folder, file, fresh.secret);
}

Result<std::string> folder_key(const std::string& folder) {
  Result<std::string> key = read_private(folder, kSecretKeyFile);
  if (!key.ok() || !key->empty()) return key;
  *key = auth::SecretBox::make_key();
  MC_FAULT_POINT("start.key");
  if (Status kept = write_private(folder, kSecretKeyFile, *key); !kept.ok()) return kept.error();
  return key;
}

Result<std::unique_ptr<blob::BlobStore>> open_blobs(const StackOptions& options) {
  if (!options.s3) return blob::open_disk(options.folder);
  blob::S3Settings settings = *options.s3;
  settings.folder = options.folder;
  return blob::open_s3(settings);
}

}  // namespace

Result<std::string> cluster_key(db::Store& store, const std::string& cluster_secret) {
  const auth::SecretBox box = auth::SecretBox::derive(cluster_secret, kKeyPurpose);
  Result<std::optional<db::Record>> kept = store.get_record(kClusterKind, kKeyRecord);
  if (!kept.ok()) return kept.error();
  if (!kept->has_value()) {
    const std::string key = auth::SecretBox::make_key();
    JsonWriter out;
    out.open('{').field("sealed", box.seal(kKeyRecord, key)).close('}');
    db::Batch batch;
    batch.records.push_back({kClusterKind, kKeyRecord, out.take(), 0});
    if (Status written = store.commit(batch); written.ok()) return key;
    // Another replica was faster, or the store has failed: it tells.
    kept = store.get_record(kClusterKind, kKeyRecord);
    if (!kept.ok()) return kept.error();
    if (!kept->has_value())
      return Error{Code::store_failed, "the cluster's key cannot be stored", {}};
  }
  const Result<Value> record = parse_json((*kept)->json);
  if (!record.ok()) return record.error();
  Result<std::string> key = box.unseal(kKeyRecord, record->string_or("sealed", ""));
  if (key.ok()) return key;
  return Error{Code::invalid_setting,
               "the database belongs to a cluster with another JWT_SECRET: give this replica the "
               "same, or another database",
               {}};
}

Status Stack::open_tokens(const StackOptions& options) {
  if (options.tokens) {
    tokens_ = options.tokens;
    return {};
  }
  Result<std::unique_ptr<api::TokenTable>> tokens = api::TokenTable::load(*store_);
  if (!tokens.ok()) return tokens.error();
  tokens_ = std::move(*tokens);
  if (options.admin_token_file.empty()) return {};
  return ensure_admin_token(*store_, *tokens_, options.folder, options.admin_token_file);
}

Status Stack::open_secrets(const StackOptions& options) {
  Result<std::string> key = options.open_other_store ? cluster_key(*store_, options.cluster_secret)
                                                     : folder_key(options.folder);
  if (!key.ok()) return key.error();
  Result<auth::SecretBox> box = auth::SecretBox::open(*key);
  if (!box.ok()) return box.error();
  Result<std::shared_ptr<api::SecretTable>> secrets = api::SecretTable::load(*store_, *box);
  if (!secrets.ok()) return secrets.error();
  secrets_ = *secrets;
  return {};
}

Result<std::unique_ptr<Stack>> Stack::open(const StackOptions& options) {
  std::unique_ptr<Stack> stack(new Stack());
  if (options.keep_in_memory) {
    stack->store_ = db::make_memory_store();
  } else {
    Result<std::unique_ptr<db::Store>> store =
        options.open_other_store ? options.open_other_store() : open_store(options.folder);
    if (!store.ok()) return store.error();
    stack->store_ = std::move(*store);
  }
  Result<std::unique_ptr<blob::BlobStore>> blobs = open_blobs(options);
  if (!blobs.ok()) return blobs.error();
  stack->blobs_ = std::move(*blobs);
  if (Status opened = stack->open_tokens(options); !opened.ok()) return opened.error();
  if (Status opened = stack->open_secrets(options); !opened.ok()) return opened.error();
  conductor::Options settings;
  settings.public_url = options.public_url;
  settings.embedded_worker = options.embedded_worker;
  settings.one_person = options.one_person;
  settings.project_weights = options.project_weights;
  if (options.heartbeat.count() > 0) settings.heartbeat = options.heartbeat;
  if (options.lease.count() > 0) settings.lease = options.lease;
  if (options.keep_receipts.count() > 0) settings.keep_receipts = options.keep_receipts;
  if (options.keep_deleted_runs) settings.keep_deleted_runs = *options.keep_deleted_runs;
  if (options.collector) settings.keep_artifacts = options.collector->keep_artifacts;
  if (options.open_runs_max > 0) settings.open_runs_max = options.open_runs_max;
  settings.shard = options.shard;
  settings.shards = options.shards;
  settings.task_prefix = options.task_prefix;
  settings.on_ready = options.on_ready;
  settings.housekeeps = options.housekeeps;
  settings.report = [](const std::string& finding) { log_error(finding); };
  Result<std::unique_ptr<conductor::Service>> service = conductor::Service::start(
      *stack->store_, *stack->blobs_, system_clock(), std::move(settings));
  if (!service.ok()) return service.error();
  stack->service_ = std::move(*service);
  if (options.collector && options.housekeeps) {
    stack->collector_ = std::make_unique<conductor::CollectorThread>(
        *stack->service_, system_clock(), *options.collector);
  }
  MC_FAULT_POINT("start.recovered");
  api::Options api_options;
  api_options.version = cli::kVersion;
  api_options.public_url = options.public_url;
  api_options.rate_limit = options.rate_limit;
  api_options.health = options.health;
  if (const redis::Keeper* redis = options.redis) {
    api_options.redis_state = [redis] { return redis->state(); };
    api_options.redis_metrics = [redis] { return redis_metrics(*redis); };
  }
  // Its threads wait for S3.
  if (options.s3) api_options.pool_threads = kPoolThreadsWithS3;
  stack->api_ = std::make_unique<api::Api>(api::Deps{.service = *stack->service_,
                                                     .tokens = stack->tokens_,
                                                     .secrets = stack->secrets_,
                                                     .options = api_options,
                                                     .counts = options.counts});
  return stack;
}

Stack::~Stack() { close(); }

void Stack::close() {
  collector_.reset();
  if (api_) api_->stop();
  if (service_) service_->stop();
  // Before the lease is given back: the next leader reads logs from where this one leaves them.
  // What is lost has been logged.
  if (blobs_) static_cast<void>(blobs_->close());
}

std::string Stack::lend_token(const std::string& name, auth::Role role) {
  api::MintedToken token =
      api::mint(name, role, std::string(api::kDefaultProject), system_clock().now());
  token.row.lent = true;
  tokens_->put(std::move(token.row));
  return token.secret;
}

void Stack::lend_secret(const std::string& name, const std::string& value) {
  secrets_->put(api::kDefaultProject, name, value, system_clock().now());
}

}  // namespace mc::bin
