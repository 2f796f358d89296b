#include "db/postgres/commit_course.h"

#include <utility>

#include "base/check.h"

namespace mc::db {

void CommitCourse::end(Status result) {
  result_ = std::move(result);
  next_ = Step::end;
}

void CommitCourse::connected(const Status& ready) {
  MC_CHECK(next_ == Step::connect);
  if (ready) {
    // The answer of the last attempt was lost.
    next_ = attempts_ > 0 ? Step::look_up : Step::write;
    return;
  }
  if (last_look_) return end(last_);
  last_ = {Code::store_failed, ready.error().message, {}};
  next_ = Step::pause;
}

void CommitCourse::looked_up(std::optional<bool> made) {
  MC_CHECK(next_ == Step::look_up);
  if (made == true) return end({});
  if (last_look_) return end(last_);
  next_ = made ? Step::write : Step::pause;
}

void CommitCourse::written(Written what, const Error& why) {
  MC_CHECK(next_ == Step::write);
  if (what == Written::made) return end({});
  last_ = why;
  next_ = Step::pause;
  if (what == Written::lost) {
    ++attempts_;
    return;
  }
  // For an attempt of before, which the server has not given up yet.
  if (what == Written::waiting && attempts_ > 0) return;
  if (what == Written::deadlock && ++deadlocks_ <= kDeadlocksMax) return;
  end(last_);
}

void CommitCourse::paused(bool in_time) {
  MC_CHECK(next_ == Step::pause);
  if (!in_time || attempts_ >= kAttemptsMax) {
    if (attempts_ == 0) return end(last_);
    last_look_ = true;
  }
  next_ = Step::connect;
}

}  // namespace mc::db
