// Stands between a store and PostgreSQL, and cuts what goes through at the worst moment.
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"
#include "tests/contract/worlds.h"

namespace mc::db::contract {

class PostgresProxy {
 public:
  // `upstream`: the server's socket.
  explicit PostgresProxy(std::string upstream);
  ~PostgresProxy();
  PostgresProxy(const PostgresProxy&) = delete;
  PostgresProxy& operator=(const PostgresProxy&) = delete;

  std::string url(const std::string& database) const;
  // The next COMMIT is made, its answer gets lost with the connection.
  void cut_next_answer() { cut_answer_ = true; }
  // The next COMMIT gets lost with the connection, and all that was sent with it.
  void cut_next_request() { cut_request_ = true; }
  // Ends what clients see of their connections; the server goes on with what it was told.
  void drop_clients();
  // What the server says, with `from` replaced by `to`. Requires: the same length; before any use.
  void replace(std::string from, std::string to);
  int cuts() const { return cuts_; }

 private:
  struct Link {
    Fd client;
    Fd server;
  };
  void serve();
  void accept_one();
  void pass_on(Link& link, bool from_client);

  const std::string upstream_;
  const TempFolder folder_;
  Fd listener_;
  std::atomic<bool> cut_answer_ = false, cut_request_ = false, over_ = false;
  std::atomic<int> cuts_ = 0;
  std::string from_, to_;
  std::mutex mutex_;  // guards links_
  std::vector<Link> links_;
  std::thread thread_;
};

// A socket of PostgreSQL's name in the folder. Requires: it works.
Fd listen_in(const std::string& folder);
// The url of a server that listens there.
std::string url_in(const std::string& folder, const std::string& database);

}  // namespace mc::db::contract
