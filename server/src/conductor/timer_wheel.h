// A hierarchical timer wheel: arming, moving and taking back a timer cost the same with ten timers
// and with a million. After G. Varghese and T. Lauck, "Hashed and Hierarchical Timing Wheels"
// (SOSP 1987), scheme 7; levels are found from the highest digit that differs, as Tokio's wheel
// does.
//
// Time is in milliseconds, in digits of 6 bits: slot s of level l holds the timers whose time first
// differs from the wheel's own in digit l, where it is s. When the wheel's time reaches a slot of a
// higher level, that slot's timers move down.
//
// Timers of one moment are taken in an order that depends only on the calls before: the same calls
// give the same order.
//
// Ownership: a Timer lives in what it is the timer of; its destructor takes it off the wheel.
// A wheel outlives its timers, or is destroyed with all of them off it. Thread rule: single owner.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/time.h"

namespace mc::conductor {

template <class Key>
class TimerWheel {
  struct Link {
    Link* before = nullptr;  // null: on no wheel
    Link* after = nullptr;
    void unlink() {
      if (before == nullptr) return;
      before->after = after;
      after->before = before;
      before = after = nullptr;
    }
  };

 public:
  // `key` says what is due when this timer is.
  class Timer : Link {
   public:
    explicit Timer(Key key) : key_(std::move(key)) {}
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;
    ~Timer() { this->unlink(); }
    // 0: not armed.
    Instant due() const { return due_; }

   private:
    friend class TimerWheel;
    Key key_;
    Instant due_;
  };

  TimerWheel() {
    for (Level& level : levels_) {
      for (Link& slot : level.slots) slot.before = slot.after = &slot;
    }
  }
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  // Moves an armed timer. 0 disarms; a moment that has passed is due at once.
  void arm(Timer& timer, Instant due) {
    if (due == timer.due_) return;
    timer.unlink();
    timer.due_ = due;
    if (due) place(timer);
  }

  // Takes one timer that is due at `now` off the wheel; false: none is. `now` never goes back.
  bool take_due(Instant now, Key& key) {
    while (true) {
      const Place next = first();
      if (next.level == kLevels || next.begins > now.ms) break;
      now_ = next.begins;
      Link& slot = levels_[next.level].slots[next.slot];
      Timer& timer = static_cast<Timer&>(*slot.after);
      if (next.level == 0) {
        timer.unlink();
        timer.due_ = {};
        key = timer.key_;
        return true;
      }
      move_down(slot);
    }
    now_ = std::max(now_, now.ms);
    return false;
  }

  // No timer is due before this moment; 0: none is armed. It may be earlier than the first timer:
  // to come back then moves that timer down a level, so a timer wakes its owner too early a few
  // times in all, however far away it is.
  Instant next() const {
    const Place place = first();
    return place.level == kLevels ? Instant{} : Instant{std::max<std::int64_t>(place.begins, 1)};
  }

 private:
  static constexpr int kDigit = 6;
  static constexpr std::size_t kSlots = 1U << kDigit;
  static constexpr std::size_t kLevels = 11;  // 66 bits: all of time
  struct Level {
    // A bit is set while its slot may hold timers: destructors do not clear it, first() does.
    mutable std::uint64_t filled = 0;
    std::array<Link, kSlots> slots;
  };
  struct Place {
    std::size_t level = kLevels;
    std::size_t slot = 0;
    std::int64_t begins = 0;
  };

  void place(Timer& timer) {
    const auto at = static_cast<std::uint64_t>(std::max(timer.due_.ms, now_));
    const std::uint64_t differs = at ^ static_cast<std::uint64_t>(now_);
    const std::size_t level =
        differs == 0 ? 0 : static_cast<std::size_t>(std::bit_width(differs) - 1) / kDigit;
    const std::size_t digit = (at >> (level * kDigit)) & (kSlots - 1);
    levels_[level].filled |= 1ULL << digit;
    Link& slot = levels_[level].slots[digit];
    timer.before = slot.before;
    timer.after = &slot;
    slot.before->after = &timer;
    slot.before = &timer;
  }

  void move_down(Link& slot) {
    Link* link = slot.after;
    slot.before = slot.after = &slot;
    while (link != &slot) {
      Link* after = link->after;
      place(static_cast<Timer&>(*link));
      link = after;
    }
  }

  // The first slot that holds timers. Lower levels come first: all their times are nearer.
  Place first() const {
    for (std::size_t l = 0; l < kLevels; ++l) {
      const Level& level = levels_[l];
      while (level.filled != 0) {
        const auto slot = static_cast<std::size_t>(std::countr_zero(level.filled));
        if (level.slots[slot].after == &level.slots[slot]) {
          level.filled &= level.filled - 1;
          continue;
        }
        const std::size_t shift = l * kDigit;
        const std::uint64_t above = shift + kDigit >= 64 ? 0 : ~0ULL << (shift + kDigit);
        const std::uint64_t begins = (static_cast<std::uint64_t>(now_) & above) |
                                     (static_cast<std::uint64_t>(slot) << shift);
        return {l, slot, static_cast<std::int64_t>(begins)};
      }
    }
    return {};
  }

  std::int64_t now_ = 0;
  std::array<Level, kLevels> levels_;
};

}  // namespace mc::conductor
