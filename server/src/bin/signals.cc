#include "bin/signals.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

namespace mc::bin {
namespace {

// SIGUSR1 tells the taking thread to end.
sigset_t taken_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) sigaddset(&set, number);
  return set;
}

}  // namespace

Signals::Signals(cli::Interrupts& interrupts) : interrupts_(interrupts) {
  struct sigaction ignore{};
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &ignore, nullptr);
  const sigset_t set = taken_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  thread_ = std::thread([this] { take(); });
}

Signals::~Signals() { leave_them(); }

void Signals::leave_them() {
  if (!thread_.joinable()) return;
  pthread_kill(thread_.native_handle(), SIGUSR1);
  thread_.join();
}

void Signals::take() {
  const sigset_t set = taken_signals();
  for (;;) {
    int number = 0;
    if (sigwait(&set, &number) != 0) continue;
    if (number == SIGUSR1) return;
    if (!interrupts_.handled.load()) _exit(number == SIGINT ? 130 : 128 + number);
    interrupts_.note();
  }
}

}  // namespace mc::bin
