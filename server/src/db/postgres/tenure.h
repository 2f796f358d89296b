// Whether one replica leads, judged from what the database said of the lease (lease.h) and when it
// was asked. Pure: time is an argument, of a clock that never goes back; that of the database is
// another one, and the two are never compared.
#pragma once

#include <chrono>
#include <cstdint>

#include "db/postgres/lease.h"

namespace mc::db {

class Tenure {
 public:
  // A replica that has lost the lease stays so: what it remembers may be wrong, and it starts over.
  enum class Role : std::uint8_t { follows, leads, lost };
  using Moment = std::chrono::steady_clock::time_point;

  // A leader that cannot renew stops serving when the time is over, by its own clock, counted from
  // before it asked: others wait for as long by the database's, counted from when it answered.
  static constexpr Millis kTime{3'000};
  static constexpr Millis kEvery{1'000};

  // A claim that was sent at `asked` was answered. Returns the role from now on.
  // Requires: role() is not lost.
  Role answered(const Leadership& found, Moment asked);
  // A claim was not answered: whether it was made is not known. Returns the role from now on.
  // Requires: role() is not lost.
  Role missed(Moment now);

  Role role() const { return role_; }
  // Whether it may answer from what it remembers.
  bool leads(Moment now) const { return role_ == Role::leads && now < until_; }
  // Until when, unless it is said again. Requires: role() is leads.
  Moment until() const { return until_; }
  // As it was when this replica began to lead. Requires: role() is leads.
  const Leadership& held() const { return held_; }

 private:
  Role role_ = Role::follows;
  Leadership held_;
  Moment until_ = Moment::min();
};

}  // namespace mc::db
