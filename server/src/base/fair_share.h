// Whose turn it is among those who share something by their weights.
//
// Who has the least for its weight is next: weighted max-min fairness as in Ghodsi et al., "Choosy:
// Max-Min Fair Sharing for Datacenter Jobs with Constraints", 2013. What is shared is whole: among
// those whom one piece more would put above nobody, turns go by weight (stride scheduling,
// Waldspurger, 1995), so that shares are right over time also where pieces are fewer than weights.
// Only what one has now counts: idleness earns no credit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace mc {

// How far one piece moves on the turn of who has weight 1.
inline constexpr std::uint64_t kStride = 1'000'000;

// What somebody has.
struct FairShare {
  std::size_t running = 0;
  int weight = 1;          // at least 1
  std::uint64_t turn = 0;  // when it is its turn, beside others: grows by kStride / weight a piece
  // Whether it has less for its weight than `other`, also with one more.
  bool is_behind(const FairShare& other) const {
    return (running + 1) * static_cast<std::size_t>(other.weight) <=
           other.running * static_cast<std::size_t>(weight);
  }
};

struct Contender {
  FairShare share;
  std::uint64_t order = 0;  // the lower goes first where turns are equal
};

// The place in `all` of who is next. Requires: `all` is not empty.
std::size_t next_in_turn(std::span<const Contender> all);
// The turn that it is: the lowest of theirs. Who comes back from idleness begins there.
std::uint64_t lowest_turn(std::span<const Contender> all);
// Gives one piece more to `share`.
void give_piece(FairShare& share);

// Whom others went before so many times, for each of them, is next whatever it has. Large enough
// that priorities mean something, small enough to be seen.
inline constexpr std::uint64_t kPassedOver = 16;

}  // namespace mc
