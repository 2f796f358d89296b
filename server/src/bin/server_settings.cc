#include "bin/server_settings.h"

#include <filesystem>

#include "base/file.h"
#include "base/log.h"
#include "bin/work.h"

namespace mc::bin {
namespace {
constexpr std::size_t kFileMax = 1 << 20;
constexpr const char* kSettingsFile = "/etc/maestro/config.yaml";
}  // namespace

Result<config::Settings> load_settings(config::Pairs flags) {
  config::Sources sources;
  sources.flags = std::move(flags);
  sources.file_name = kSettingsFile;
  for (const std::string& pair : process_environment()) {
    const std::size_t equals = pair.find('=');
    if (equals == std::string::npos) continue;
    sources.environment.emplace_back(pair.substr(0, equals), pair.substr(equals + 1));
    if (pair.starts_with("MAESTRO_CONFIG=")) sources.file_name = pair.substr(equals + 1);
  }
  const bool named = sources.file_name != kSettingsFile;
  if (named || std::filesystem::exists(sources.file_name)) {
    Result<std::string> text = read_file(sources.file_name, kFileMax);
    if (!text.ok()) return Error{Code::invalid_setting, text.error().message, {}};
    sources.file_text = std::move(*text);
  }
  sources.read_file = [](const std::string& path) { return read_file(path, kFileMax); };
  Result<config::Settings> settings = config::read_settings(sources);
  if (!settings.ok()) return settings;
  const LogForm form = settings->log_format == "json"   ? LogForm::json
                       : settings->log_format == "text" ? LogForm::text
                                                        : LogForm::automatic;
  set_log(log_level_from_name(settings->log_level).value_or(LogLevel::info), form);
  return settings;
}
}  // namespace mc::bin
