// One connection to a Redis server: over TCP, TLS (OpenSSL, the server's name is verified) or a
// socket of this machine; signed in, RESP3, in its database. Every call has a deadline.
//
// Threads: one owner, whose calls wait; `interrupt` alone may be called from any.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "redis/reader.h"
#include "redis/resp.h"
#include "redis/url.h"

namespace mc::redis {

class Connection {
 public:
  // Commands of one exchange: what they and their answers take fits the sockets' buffers, so that
  // neither side waits for the other to read.
  static constexpr std::size_t kCommandsMax = 256;

  // `name` is what CLIENT LIST shows; characters that Redis refuses become "-".
  Connection(Place place, std::string_view name, ReplyLimits limits = {});
  // May wait for the name service, which cannot be interrupted.
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Connects, signs in and selects the database within `time`. Errors: invalid_setting: the
  // password, the database, a certificate or a file is wrong, or what answers is no Redis;
  // store_failed: it is loading; unreachable: no connection, or not in time.
  Status open(Millis time);
  bool is_open() const;
  void close();

  // Sends the commands in one piece and waits for as many answers; error replies are answers. After
  // any error the connection is closed, and whether the commands were carried out is not known.
  // Requires: is_open(), 1 to kCommandsMax commands. Errors: unreachable.
  Result<std::vector<Reply>> exchange(const std::vector<Command>& commands, Millis time);

  // Ends the call that is under way, and every later one at once, with unreachable.
  void interrupt();

  const Place& place() const { return place_; }

 private:
  struct Wire;
  using Deadline = std::chrono::steady_clock::time_point;
  Status connect(Deadline deadline);
  Status connect_socket(Deadline deadline);
  Status shake_hands(Deadline deadline);
  Status sign_in(Deadline deadline);
  Result<std::vector<Reply>> converse(const std::vector<Command>& commands, Deadline deadline);
  Error failure(Code code, std::string_view what) const;

  const Place place_;
  const std::string name_;
  const ReplyLimits limits_;
  std::unique_ptr<Wire> wire_;
};

}  // namespace mc::redis
