// A run's whole state as JSON, so that a long history need not be read from its beginning. Written
// beside the events, never instead of them. docs/internals/events.md has the format.
#pragma once

#include <string>
#include <string_view>

#include "engine/state.h"

namespace mc::conductor {

std::string encode_snapshot(const engine::RunState& run);
// Errors: store_failed (unreadable, or of another definition).
Result<engine::RunState> decode_snapshot(Uuid id, engine::DefinitionRef definition,
                                         std::string_view text);
// The digest of the definition that the run of a snapshot follows.
Result<std::string> snapshot_digest(std::string_view text);

}  // namespace mc::conductor
