#include "bin/doors.h"
#include "bin/server_settings.h"

namespace mc::bin {

Result<int> serve(const std::string& listen, bool /*migrate*/, const cli::Io&) {
  const Result<config::Settings> settings = load_settings({{"--listen", listen}});
  if (!settings.ok()) return settings.error();
  if (const Status fit = config::check_for_cluster(*settings); !fit) return fit.error();
  return Error{Code::invalid_setting,
               "this build keeps its data in SQLite only: it has no PostgreSQL store, which serve "
               "needs; `maestro up` runs a whole server on one machine",
               {}};
}

}  // namespace mc::bin
