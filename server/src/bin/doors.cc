#include "bin/doors.h"

#include "bench/benchmarks.h"
#include "bin/doctor.h"
#include "client/http_transport.h"

namespace mc::bin {

cli::Doors open_doors(Signals& signals) {
  cli::Doors doors;
  doors.connect = [](const std::string& url, const std::string& token) {
    return client::connect_http({.urls = {url}, .token = token});
  };
  doors.up = [&signals](const cli::UpOptions& options, const cli::Io& io) {
    return up(options, io, signals);
  };
  doors.serve = [&signals](const std::string& listen, bool migrates, const cli::Io& io) {
    return serve(listen, migrates, io, signals);
  };
  doors.worker = [&signals](const cli::WorkerOptions& options, const cli::Io& io) {
    return work(options, io, signals);
  };
  doors.local_server = open_local;
  doors.local_cache = read_local_cache;
  doors.doctor = [connect = doors.connect](const std::string& data, const cli::Io&) {
    cli::Doors reach;
    reach.connect = connect;
    std::vector<cli::DoctorLine> lines = check_machine();
    for (cli::DoctorLine& line : check_data(data, reach)) lines.push_back(std::move(line));
    for (cli::DoctorLine& line : check_services()) lines.push_back(std::move(line));
    return lines;
  };
  doors.direct_token = make_direct_token;
  doors.migrate = migrate;
  doors.migrate_shards = migrate_shards;
  doors.backup = back_up;
  doors.bench = bench::run;
  return doors;
}

}  // namespace mc::bin
