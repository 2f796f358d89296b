#include "base/fault.h"

#ifdef MC_FAULTS
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <map>
#include <mutex>
#include <thread>

#include "base/check.h"
#include "base/file.h"
#include "base/text.h"

namespace mc {
namespace {
using Steady = std::chrono::steady_clock;

struct Rule {
  std::int64_t die_at = 0;  // 0: never
  Millis delay{0};
  std::int64_t passes = 0;
};

std::int64_t number(const std::string& text) {
  std::int64_t value = 0;
  const auto end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, value);
  const bool mc_fault_has_a_good_number = read.ec == std::errc{} && read.ptr == end;
  MC_CHECK(mc_fault_has_a_good_number);
  return value;
}

std::string variable(const char* name) {
  // tidy: allow banned: only in a test build, where no setting may know of it
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

class Plan {
 public:
  Plan() {
    for (const std::string& rule : split(variable("MC_FAULT"), ',')) {
      if (!rule.empty()) take(split(rule, ':'));
    }
    const std::string path = variable("MC_FAULT_REACHED");
    if (path.empty()) return;
    reached_ = Fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
    MC_CHECK(static_cast<bool>(reached_));
  }

  void pass(const char* name) {
    Millis delay{0};
    {
      const std::lock_guard lock(mutex_);
      Rule& rule = rules_[name];
      if (++rule.passes == 1 && reached_) (void)write_all(reached_.get(), std::string(name) + "\n");
      if (rule.passes == rule.die_at) std::raise(SIGKILL);
      delay = rule.delay;
    }
    // tidy: allow banned: a slow disk is what this imitates
    if (delay.count() > 0) std::this_thread::sleep_for(delay);
  }

  std::int64_t clock_offset() const {
    const bool jumped = Steady::now() - began_ >= jump_at_;
    return offset_ + (jumped ? jump_ : 0);
  }

 private:
  void take(const std::vector<std::string>& words) {
    MC_CHECK(words.size() >= 2);
    if (words[0] == "clock") {
      const bool jumps = words[1] == "jump";
      MC_CHECK(words.size() == (jumps ? 4U : 3U) && (jumps || words[1] == "offset"));
      (jumps ? jump_ : offset_) = number(words[2]);
      if (jumps) jump_at_ = Millis(number(words[3]));
    } else if (words[1] == "delay") {
      MC_CHECK(words.size() == 3);
      rules_[words[0]].delay = Millis(number(words[2]));
    } else {
      MC_CHECK(words.size() == 2);
      rules_[words[0]].die_at = number(words[1]);
    }
  }

  const Steady::time_point began_ = Steady::now();
  std::int64_t offset_ = 0, jump_ = 0;
  Millis jump_at_{0};
  Fd reached_;
  std::mutex mutex_;  // guards rules_
  std::map<std::string, Rule> rules_;
};

Plan& plan() {
  static Plan only;
  return only;
}
}  // namespace

void pass_fault_point(const char* name) { plan().pass(name); }
std::int64_t fault_clock_offset() { return plan().clock_offset(); }

}  // namespace mc
#endif
