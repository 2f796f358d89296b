// The settings of a server that starts now: environment, files named by it, and the settings file.
#pragma once

#include "base/error.h"
#include "config/settings.h"

namespace mc::bin {

// Also sets the log's level and form. `flags` win over all. Errors: invalid_setting with every
// problem found.
Result<config::Settings> load_settings(config::Pairs flags = {});

}  // namespace mc::bin
