// `maestro serve`: one replica of a cluster. All share a database and the shards of projects in it.
#include "base/log.h"
#include "bin/doors.h"
#include "bin/replica.h"
#include "bin/server_settings.h"
#include "cli/target.h"
#include "cli/version.h"

namespace mc::bin {
namespace {
constexpr int kInterrupted = 130;
}  // namespace

Result<int> serve(const std::string& listen, bool migrate, const cli::Io& io, Signals& signals) {
  cli::Interrupts& interrupts = signals.interrupts();
  interrupts.handled = true;
  config::Pairs flags;
  if (!listen.empty()) flags.emplace_back("--listen", listen);
  Result<config::Settings> settings = load_settings(flags);
  if (!settings.ok()) return settings.error();
  if (const Status fit = config::check_for_cluster(*settings); !fit) return fit.error();
  const std::string data = settings->data.empty() ? cli::data_folder(io) : settings->data;
  Replica replica(std::move(*settings), data);
  if (Status started = replica.start(migrate, interrupts); !started.ok()) {
    // Asked to end while it waits for its database: that is an end as wanted.
    const int count = interrupts.count.load();
    if (count == 0 || !replica.was_waiting()) return started.error();
    log_info("stopped", {{"while", started.error().message}});
    return count > 1 ? kInterrupted : 0;
  }
  io.out("maestro " + std::string(cli::kVersion) + " replica " + replica.name() + " at " +
         replica.url() + "\n");
  if (Status ran = replica.run(signals); !ran.ok()) return ran.error();
  log_info("stopping");
  replica.stop();
  log_info("stopped");
  return interrupts.count.load() > 1 ? kInterrupted : 0;
}

}  // namespace mc::bin
