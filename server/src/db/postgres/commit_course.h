// What a commit does next whose connection may be lost at any moment: it is made once or not at
// all, and the caller learns which. Pure: the caller takes each step and says what came of it.
#pragma once

#include <cstdint>
#include <optional>

#include "base/error.h"

namespace mc::db {

class CommitCourse {
 public:
  enum class Step : std::uint8_t {
    connect,  // unless there is a connection
    look_up,  // whether the commit was made, by its id
    write,    // the transaction, with its id
    pause,    // a little, unless the time for the commit is over
    end
  };
  enum class Written : std::uint8_t {
    made,      // by this transaction or by one of before, which its id shows
    lost,      // the connection, and with it the answer
    deadlock,  // taken back by the server, which says that another try may do
    waiting,   // gave up waiting for a lock
    refused
  };

  Step next() const { return next_; }
  // Requires, each: next() is its step.
  void connected(const Status& ready);
  void looked_up(std::optional<bool> made);  // nullopt: the connection was lost again
  void written(Written what, const Error& why);
  void paused(bool in_time);
  // Errors: store_failed, or what `written` said. Requires: next() is end.
  const Status& result() const { return result_; }
  // Whether it failed and may be made all the same, later: the server may still be at an attempt
  // whose answer was lost. Requires: next() is end.
  bool in_doubt() const { return attempts_ > 0 && !result_; }

 private:
  static constexpr int kAttemptsMax = 3;   // of a commit whose answer is lost each time
  static constexpr int kDeadlocksMax = 5;  // of a commit that the server takes back each time

  void end(Status result);

  Step next_ = Step::connect;
  int attempts_ = 0, deadlocks_ = 0;
  bool last_look_ = false;
  Error last_{Code::store_failed, "PostgreSQL cannot be reached", {}};
  Status result_;
};

}  // namespace mc::db
