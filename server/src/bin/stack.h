// The server's parts without a socket: store, blobs, service, tokens, secrets, API. `up` puts an
// HTTP server before it, `exec` calls it directly, `serve` has one for each shard that it leads.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/api.h"
#include "blob/blob_store.h"
#include "blob/s3/s3_store.h"
#include "conductor/collector.h"
#include "conductor/service.h"
#include "db/store.h"
#include "redis/keeper.h"

namespace mc::bin {

struct StackOptions {
  std::string folder;           // must exist; holds the store, the blobs and secret.key
  bool keep_in_memory = false;  // the store: nothing of it outlives the Stack
  // Opens another store than the folder's; its secrets are sealed with a key that it keeps itself,
  // sealed with `cluster_secret`.
  std::function<Result<std::unique_ptr<db::Store>>()> open_other_store;
  std::string cluster_secret;
  std::optional<blob::S3Settings> s3;  // blobs and logs are there; none: in the folder
  std::string public_url = "http://127.0.0.1:4000";
  std::string embedded_worker;  // name; empty: none
  // File in the folder that holds the admin's token, minted when it is missing; empty: none.
  std::string admin_token_file;
  api::RateLimit rate_limit;
  redis::Keeper* redis = nullptr;  // told of by probes and figures; outlives the Stack; null: none
  // Where a process has several Stacks: what they share (null: each has its own), ...
  std::shared_ptr<api::TokenTable> tokens;
  std::shared_ptr<api::Counts> counts;
  std::function<conductor::Service::Health()> health;  // ... of all of them
  // ... and what is one shard's: see conductor::Options.
  int shard = 0, shards = 1;
  std::string task_prefix;
  std::function<void()> on_ready;
  bool housekeeps = true;
  // As conductor::Options has them; 0: its defaults.
  Millis heartbeat{0}, lease{0}, keep_receipts{0};
  std::optional<Millis> keep_deleted_runs;               // 0: removed at once
  std::optional<conductor::CollectorOptions> collector;  // none: blobs are never removed
  int open_runs_max = 0;
  bool one_person = false;
  std::map<std::string, int> project_weights;  // as conductor::Options has them
};

class Stack {
 public:
  // Errors: data_folder (in use, too new, cannot be written), store_failed.
  static Result<std::unique_ptr<Stack>> open(const StackOptions& options);
  ~Stack();  // close()
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;

  // Finishes commits in flight and ends all threads: nothing is written or decided afterwards, and
  // calls are answered with shutting_down. Requires: not called on one of those threads. Those who
  // still have a call under way keep the Stack.
  void close();

  conductor::Service& service() { return *service_; }
  api::Api& api() { return *api_; }
  // A token that is good as long as this object lives and is stored nowhere.
  std::string lend_token(const std::string& name, auth::Role role);
  // A secret of the default project, kept in memory only.
  void lend_secret(const std::string& name, const std::string& value);

 private:
  Stack() = default;
  Status open_tokens(const StackOptions& options);
  Status open_secrets(const StackOptions& options);

  std::unique_ptr<db::Store> store_;
  std::unique_ptr<blob::BlobStore> blobs_;
  std::shared_ptr<api::TokenTable> tokens_;    // shared with the API
  std::shared_ptr<api::SecretTable> secrets_;  // as tokens_
  std::unique_ptr<conductor::Service> service_;
  std::unique_ptr<conductor::CollectorThread> collector_;
  std::unique_ptr<api::Api> api_;
};

// The key of a cluster's secrets, which its store keeps sealed; made when there is none. Errors:
// invalid_setting: it was sealed with another secret; store_failed.
Result<std::string> cluster_key(db::Store& store, const std::string& cluster_secret);

// Opens the store of a data folder. Errors: data_folder.
Result<std::unique_ptr<db::Store>> open_store(const std::string& folder);

}  // namespace mc::bin
