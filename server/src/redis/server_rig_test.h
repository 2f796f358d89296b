// A real redis-server of one test: its own folder, a port and a socket that nobody else has. It
// goes with the process, also when that is killed.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "redis/connection.h"

namespace mc::redis {

// Waits for a condition; false: not within 20 s.
bool eventually(const std::function<bool()>& condition);

class ServerRig {
 public:
  // `options`: "--requirepass", "x", …; `admin`: who the rig itself is, "USER:PASSWORD@". Requires:
  // missing().empty().
  explicit ServerRig(std::vector<std::string> options = {}, std::string admin = {});
  ~ServerRig();
  ServerRig(const ServerRig&) = delete;
  ServerRig& operator=(const ServerRig&) = delete;

  // Why there can be none on this machine; empty: there can.
  static const std::string& missing();

  // "redis://" + user_info + its address + end.
  std::string url(const std::string& user_info = {}, const std::string& end = {}) const;
  std::string socket_url(const std::string& user_info, const std::string& end = {}) const;

  // Of one that speaks TLS, too (Certificates::options).
  const std::string& tls_port() const { return tls_port_; }

  void start();  // and waits until it answers
  void signal(int number) const;
  void kill();  // as if its power went
  // Asks it; fails the test when it refuses.
  Reply ask(const Command& command);
  // Whether it has the key.
  bool has(const std::string& key) { return ask({"EXISTS", key}).integer == 1; }

 private:
  void spawn_anew();
  std::string folder_, port_, tls_port_, admin_;
  std::vector<std::string> options_;
  bool has_answered_ = false;  // then it keeps its ports
  std::unique_ptr<Connection> asking_;
  pid_t pid_ = 0;
};

// Certificates for a host, in a folder of their own: ca.pem, server.pem and .key,
// client.pem and .key, and stranger.pem, an authority that has signed none of them.
class Certificates {
 public:
  explicit Certificates(const std::string& host = "localhost");
  ~Certificates();
  Certificates(const Certificates&) = delete;
  Certificates& operator=(const Certificates&) = delete;

  std::string file(const std::string& name) const { return folder_ + "/" + name; }
  // Of a server that speaks TLS; `clients`: yes or no, whether it wants theirs.
  std::vector<std::string> options(const std::string& clients) const;

 private:
  void make(const std::string& name, const std::vector<std::string>& more) const;
  std::string folder_;
};

// Where no server is: nobody takes this port.
inline constexpr const char* kNowhere = "redis://127.0.0.1:1";

}  // namespace mc::redis
