// The composition root's verbs: what cli/ asks for through cli::Doors.
#pragma once

#include <memory>
#include <string>

#include "bin/signals.h"
#include "cli/doors.h"

namespace mc::bin {

Result<int> up(const cli::UpOptions& options, const cli::Io& io, Signals& signals);
// `listen` empty: as the settings say.
Result<int> serve(const std::string& listen, bool migrate, const cli::Io& io, Signals& signals);
Result<int> work(const cli::WorkerOptions& options, const cli::Io& io, Signals& signals);
Result<std::unique_ptr<cli::LocalServer>> open_local(const cli::LocalOptions& options);
Value read_local_cache(const cli::LocalOptions& options, const std::string& key);
Result<std::string> make_direct_token(const cli::NewToken& wanted);
Result<Value> migrate(const std::string& action, const std::string& data);
Result<Value> migrate_shards(int shards);
Result<Value> back_up(const std::string& data, const std::string& target);

// Every door, open. `signals` must outlive what is returned.
cli::Doors open_doors(Signals& signals);

}  // namespace mc::bin
