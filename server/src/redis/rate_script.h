// Rate limits that several servers count together: one number in Redis for each who, and one script
// that reads and changes it at once.
//
// The algorithm is the generic cell rate algorithm in its form of virtual scheduling (ITU-T
// Recommendation I.371, annex A): the number is the theoretical arrival time, the moment at which
// the bucket is full again; each that is taken moves it by 1/rate. Here it is charged with what was
// let through already, so it may come to lie further ahead than the burst allows: that is a debt,
// and at most one more burst. The time is Redis' own, so the servers' clocks need not agree.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "redis/connection.h"

namespace mc::redis {

struct RateTerms {
  double per_second = 1;  // above 0
  double burst = 1;
};

struct RateCharge {
  std::string who;
  double taken = 0;  // since the last charge
  double used = 0;   // how far the bucket here is from full: what Redis begins with if it has none
};

struct Charged {
  // How far each one's bucket is from full now, in their order: 0 to twice the burst; nullopt: it
  // was refused and not charged.
  std::vector<std::optional<double>> used;
  Status first_refusal;  // as refusal() has it
};

// Charges each of them. The key is maestro:rate:WHO; it expires when the bucket is full. Requires:
// the connection is open; 1 to Connection::kCommandsMax charges. Errors: unreachable: the
// connection is closed, and who was charged is not known.
Result<Charged> charge(Connection& connection, const RateTerms& terms,
                       std::span<const RateCharge> charges, Millis time);

// Whether Redis would take a charge. Errors: as refusal() has them; unreachable.
Status probe(Connection& connection, Millis time);

}  // namespace mc::redis
