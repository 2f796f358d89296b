// `exec`: a whole server and its worker in this process, without a socket.
#include <unistd.h>

#include <filesystem>

#include "base/json.h"
#include "base/log.h"
#include "base/sha256.h"
#include "bin/data_folder.h"
#include "bin/doors.h"
#include "bin/local_transport.h"
#include "bin/stack.h"
#include "bin/work.h"
#include "conductor/records.h"
#include "db/sqlite/sqlite_store.h"

namespace mc::bin {
namespace {

constexpr const char* kWorkerName = "local";
// So many `exec` of one working tree can run at the same time with a cache of their own.
constexpr int kFoldersMax = 16;
constexpr Millis kPollWait{2'000};
// Nobody else is here to be protected.
constexpr api::RateLimit kRateLimit{.per_second = 1e6, .burst = 1e6};

class ExecServer final : public cli::LocalServer {
 public:
  ExecServer(std::unique_ptr<Stack> stack, std::string token)
      : stack_(std::move(stack)), token_(std::move(token)) {}
  ~ExecServer() override {
    if (worker_) worker_->stop(Millis(0));
    worker_.reset();
  }

  Status start_worker(const cli::LocalOptions& options, const std::string& folder) {
    WorkSetup setup;
    setup.name = kWorkerName;
    setup.labels = {"linux", "local"};
    setup.slots = options.slots;
    setup.data = folder + "/worker";
    if (Status made = make_data_folder(setup.data); !made.ok()) return made;
    setup.pass_env = options.pass_env;
    setup.checkout_folder = options.folder;
    setup.no_cache = options.no_cache;
    setup.poll_wait = kPollWait;
    setup.connect_api = [this, token = stack_->lend_token("worker", auth::Role::worker)] {
      return client::connect_worker(connect_locally(stack_->api(), token));
    };
    Result<std::unique_ptr<worker::Worker>> worker = bin::start_worker(std::move(setup));
    if (!worker.ok()) return worker.error();
    worker_ = std::move(*worker);
    return {};
  }

  std::unique_ptr<client::Transport> connect() override {
    return connect_locally(stack_->api(), token_);
  }

  void kill() override {
    worker_->stop(Millis(0));
    ::_exit(130);
  }

 private:
  std::unique_ptr<Stack> stack_;
  std::string token_;
  std::unique_ptr<worker::Worker> worker_;
};

std::string folder_of(const cli::LocalOptions& options, int place) {
  Sha256 digest;
  digest.update(options.folder);
  return options.cache + "/" + digest.hex().substr(0, 16) + "-" + std::to_string(place);
}

Result<std::unique_ptr<cli::LocalServer>> open_in(const cli::LocalOptions& options,
                                                  const std::string& folder) {
  if (Status made = make_data_folder(folder); !made.ok()) return made.error();
  StackOptions setup;
  setup.folder = folder;
  setup.embedded_worker = kWorkerName;
  setup.one_person = true;
  setup.rate_limit = kRateLimit;
  Result<std::unique_ptr<Stack>> stack = Stack::open(setup);
  if (!stack.ok()) return stack.error();
  for (const auto& [name, value] : options.secrets) (*stack)->lend_secret(name, value);
  const std::string token = (*stack)->lend_token("local", auth::Role::admin);
  auto server = std::make_unique<ExecServer>(std::move(*stack), token);
  if (Status started = server->start_worker(options, folder); !started.ok()) return started.error();
  return std::unique_ptr<cli::LocalServer>(std::move(server));
}

}  // namespace

Result<std::unique_ptr<cli::LocalServer>> open_local(const cli::LocalOptions& options) {
  set_log(LogLevel::warn, LogForm::automatic);  // people watch the run, not its server
  Result<std::unique_ptr<cli::LocalServer>> server = Error{};
  for (int place = 0; place < kFoldersMax; ++place) {
    server = open_in(options, folder_of(options, place));
    // In use by another exec: the next folder.
    if (server.ok() || server.error().code != Code::data_folder) return server;
  }
  return server;
}

Value read_local_cache(const cli::LocalOptions& options, const std::string& key) {
  const std::string project(api::kDefaultProject);
  const std::string record = conductor::cache_record_key(project, project, key);
  for (int place = 0; place < kFoldersMax; ++place) {
    const std::string folder = folder_of(options, place);
    std::error_code ignored;
    if (!std::filesystem::exists(folder, ignored)) break;
    const auto store = db::open_sqlite({.folder = folder, .create = false, .read_only = true});
    if (!store.ok()) continue;  // of another version, or just being made: not one to count on
    const auto found = (*store)->get_record(conductor::kCacheKind, record);
    const auto blobs = blob::open_disk(folder);
    if (!found.ok() || !*found || !blobs.ok()) continue;
    Result<Value> entry = parse_json((*found)->json);
    if (entry.ok() && (*blobs)->has(entry->string_or("digest", ""))) return std::move(*entry);
  }
  return {};
}

}  // namespace mc::bin
