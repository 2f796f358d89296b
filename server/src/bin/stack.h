// The server's parts without a socket: store, blobs, service, tokens, secrets, API. `up` puts an
// HTTP server before it, `exec` calls it directly.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/api.h"
#include "bin/shared_limits.h"
#include "blob/blob_store.h"
#include "blob/s3/s3_store.h"
#include "conductor/collector.h"
#include "conductor/service.h"
#include "db/store.h"

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
  redis::Keeper* redis = nullptr;  // shares the limits; outlives the Stack; null: they are its own
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
  // Finishes commits in flight. Requires: no http::Server calls the handler any more.
  ~Stack();
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;

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
  std::shared_ptr<api::TokenTable> tokens_;    // shared with the API, which ends first
  std::shared_ptr<api::SecretTable> secrets_;  // as tokens_
  std::unique_ptr<conductor::Service> service_;
  std::unique_ptr<conductor::CollectorThread> collector_;
  std::unique_ptr<api::Api> api_;
  std::unique_ptr<SharedLimits> shared_limits_;
};

// The key of a cluster's secrets, which its store keeps sealed; made when there is none. Errors:
// invalid_setting: it was sealed with another secret; store_failed.
Result<std::string> cluster_key(db::Store& store, const std::string& cluster_secret);

// Opens the store of a data folder. Errors: data_folder.
Result<std::unique_ptr<db::Store>> open_store(const std::string& folder);

}  // namespace mc::bin
