#include "db/postgres/tenure.h"

#include "base/check.h"

namespace mc::db {

Tenure::Role Tenure::answered(const Leadership& found, Moment asked) {
  MC_CHECK(role_ != Role::lost);
  if (!found.mine) return role_ = role_ == Role::leads ? Role::lost : Role::follows;
  // Another replica led in between: what this one remembers is not the truth.
  if (role_ == Role::leads && held_.epoch != found.epoch) return role_ = Role::lost;
  if (role_ == Role::follows) held_ = found;
  until_ = asked + kTime;
  return role_ = Role::leads;
}

Tenure::Role Tenure::missed(Moment now) {
  MC_CHECK(role_ != Role::lost);
  if (role_ == Role::leads && now >= until_) role_ = Role::lost;
  return role_;
}

}  // namespace mc::db
