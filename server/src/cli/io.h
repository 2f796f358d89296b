// What a verb may touch of the process: its streams, its environment, its interrupts. Tests hand in
// their own.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/time.h"

namespace mc::cli {

// Filled by the signal thread (bin/signals.cc). A verb that ends in its own way on Ctrl-C sets
// `handled` first; for every other the process ends at once with 130.
struct Interrupts {
  std::atomic<int> count{0};  // how many SIGINT and SIGTERM came
  std::atomic<bool> handled{false};

  void note();
  // Until `wanted` came in all, or the time is over. Returns whether they came.
  bool wait(int wanted, Millis at_most);

 private:
  std::mutex mutex_;
  std::condition_variable came_;
};

struct Io {
  std::function<void(std::string_view)> out;  // standard output
  std::function<void(std::string_view)> err;  // standard error
  // All of standard input, refused beyond kInputMax bytes.
  std::function<Result<std::string>()> read_input;
  // One line typed at the terminal; nullopt at its end. Only asked when `in_terminal`.
  std::function<std::optional<std::string>()> read_line;
  std::function<std::optional<std::string>(const std::string&)> variable;
  bool in_terminal = false;
  bool out_terminal = false;
  bool err_terminal = false;
  int columns = 80;  // of the terminal
  int rows = 24;
  Interrupts* interrupts = nullptr;  // never null in a verb
};

inline constexpr std::size_t kInputMax = 4U << 20;

// The real process. `interrupts` must outlive what is returned.
Io process_io(Interrupts* interrupts);

// The variable's value, or `fallback` when it is unset or empty.
std::string variable_or(const Io& io, const std::string& name, std::string_view fallback);

// A whole file. Errors: usage, with the system's reason.
Result<std::string> read_file(const std::string& path, std::size_t bytes_max = kInputMax);
// Replaces a file whole, with mode 0600 when `secret`, else 0644. Errors: usage.
Status write_file(const std::string& path, std::string_view text, bool secret);

// $XDG_CONFIG_HOME/maestro, $XDG_DATA_HOME/maestro, $XDG_CACHE_HOME/maestro with their defaults.
std::string config_folder(const Io& io);
std::string data_folder(const Io& io);  // MAESTRO_DATA first
std::string cache_folder(const Io& io);

}  // namespace mc::cli
