// What verbs need that only the composition root (bin/) can make. Each door is a plain function, so
// that tests open their own.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/value.h"
#include "cli/io.h"
#include "client/transport.h"
#include "model/resources.h"

namespace mc::cli {

struct UpOptions {
  // Flags that are settings, as given: {"--listen", "127.0.0.1:0"}. They win over the environment
  // and the settings file.
  std::vector<std::pair<std::string, std::string>> flags;
};

struct KubernetesOptions {
  std::string namespace_name;  // empty: the kubeconfig's, or the pod's own
  std::string kubeconfig;      // empty: KUBECONFIG, in the cluster, ~/.kube/config
  std::string image;           // Maestro's
  std::string cpu, memory;     // of jobs that say nothing; empty: none
  Millis start_patience{120'000};
};

struct WorkerOptions {
  std::vector<std::string> urls;
  std::string token;
  std::string name;  // empty: the host's
  std::vector<std::string> labels;
  int slots = 0;
  Resources capacity;  // for all jobs together; 0: what this machine has
  std::string data;
  std::vector<std::string> pass_env;
  Millis drain_timeout{30'000};
  std::optional<KubernetesOptions> kubernetes;  // nullopt: processes of this machine
};

struct LocalOptions {
  std::string cache;   // folder of cache entries and logs; kept between calls
  std::string folder;  // the working tree that `checkout` takes
  std::vector<std::string> pass_env;
  std::vector<std::pair<std::string, std::string>> secrets;
  bool no_cache = false;
  int slots = 0;
};

// A server without a socket, for `exec`: lives as long as the object.
class LocalServer {
 public:
  virtual ~LocalServer() = default;
  virtual std::unique_ptr<client::Transport> connect() = 0;
  // Kills what runs at once (second Ctrl-C).
  virtual void kill() = 0;
};

struct DoctorLine {
  std::string level;  // ok, warn, fail
  std::string what;
  std::string found;
  std::string mend;  // how, when not ok
};

struct NewToken {
  std::string name;
  std::string role;
  std::string data;
  Millis expires_in{0};  // 0: never
};

struct BenchOptions {
  std::vector<std::string> names;  // b1 … b12; empty: all
  bool json = false;
  std::string db_url;  // empty: SQLite in a scratch folder
  int replicas = 1;    // on db_url
};

struct Doors {
  std::function<std::unique_ptr<client::Transport>(const std::string& url,
                                                   const std::string& token)>
      connect;
  std::function<Result<int>(const UpOptions&, const Io&)> up;
  std::function<Result<int>(const std::string& listen, bool migrate, const Io&)> serve;
  std::function<Result<int>(const WorkerOptions&, const Io&)> worker;
  std::function<Result<std::unique_ptr<LocalServer>>(const LocalOptions&)> local_server;
  // What `exec` keeps under this key, as the worker protocol gives it; null: nothing. Starts
  // nothing and changes nothing.
  std::function<Value(const LocalOptions&, const std::string& key)> local_cache;
  std::function<std::vector<DoctorLine>(const std::string& data, const Io&)> doctor;
  // `data` empty: the database that POSTGRES_URL names.
  // Writes a token into a store that no server holds open; returns the secret.
  std::function<Result<std::string>(const NewToken&)> direct_token;
  // action: up, down or status. Answers {schema, wanted, …}.
  std::function<Result<Value>(const std::string& action, const std::string& data)> migrate;
  // Of the database that POSTGRES_URL names. Answers {shards, before}.
  std::function<Result<Value>(int shards)> migrate_shards;
  std::function<Result<Value>(const std::string& data, const std::string& target)> backup;
  std::function<int(const BenchOptions&)> bench;  // prints; returns the exit code
};

}  // namespace mc::cli
