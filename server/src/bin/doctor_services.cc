// What the settings name outside of this machine, as `maestro doctor` finds it.
#include "bin/doctor.h"
#include "bin/server_settings.h"
#include "redis/rate_script.h"

namespace mc::bin {
namespace {
using cli::DoctorLine;
constexpr Millis kPatience{3'000};

// What is wrong with the settings concerns a server that starts here: `up` and `serve` tell more.
DoctorLine settings_line(const Error& error) {
  return {"warn", "settings", error.message, "a server does not start with these"};
}

DoctorLine redis_line(const std::string& url) {
  const Result<redis::Place> place = redis::parse_url(url);
  if (!place.ok()) return {"fail", "redis", place.error().message, "mend REDIS_URL"};
  redis::Connection connection(*place, "doctor");
  Status fine = connection.open(kPatience);
  if (fine) fine = redis::probe(connection, kPatience);
  if (fine) return {"ok", "redis", place->shown(), ""};
  if (fine.error().code == Code::invalid_setting)
    return {"fail", "redis", fine.error().message, "mend REDIS_URL or the server"};
  return {"warn", "redis", fine.error().message,
          "start it: until then each server counts rate limits alone"};
}
}  // namespace

std::vector<DoctorLine> check_services() {
  const Result<config::Settings> settings = load_settings();
  if (!settings.ok()) return {settings_line(settings.error())};
  if (settings->redis_url.empty()) return {};
  return {redis_line(settings->redis_url)};
}

}  // namespace mc::bin
