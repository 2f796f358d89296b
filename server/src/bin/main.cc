// `maestro`: server, worker, command line and local runner in one program. This file only starts
// what the command line asks for.
#include <string>
#include <string_view>
#include <vector>

#include "bin/doors.h"
#include "bin/pod.h"
#include "bin/replica.h"
#include "cli/session.h"
#include "worker/guard.h"

int main(int argc, char** argv) {
  if (argc == 3 && std::string_view(argv[1]) == "__guard") return mc::worker::run_guard(argv[2]);
  mc::cli::Interrupts interrupts;
  // One that waited across exec() comes at once, before anybody could say what is to be done.
  interrupts.handled = mc::bin::starts_over();
  mc::bin::Signals signals(interrupts);
  if (argc > 2 && std::string_view(argv[1]) == "__pod")
    return mc::bin::run_pod({argv + 2, argv + argc}, signals);
  const mc::cli::Io io = mc::cli::process_io(&interrupts);
  const mc::cli::Doors doors = mc::bin::open_doors(signals);
  const std::vector<std::string> words(argv + 1, argv + argc);
  return mc::cli::run_main(words, io, doors);
}
