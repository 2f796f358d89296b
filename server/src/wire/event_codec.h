// Stored form of events: a JSON array, one object an event:
//   [{"seq":3,"t":1700000000000,"type":"job.started","node":2,"attempt":1,"fence":1,"worker":"w1"}]
// Absent fields have their defaults, unknown fields are ignored (a newer minor version wrote them),
// an unknown type is an error (a newer major version wrote it). docs/internals/events.md lists all.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "model/event.h"

namespace mc::wire {

std::string encode_events(const std::vector<Event>& events);
// Errors: store_failed, naming what could not be read.
Result<std::vector<Event>> decode_events(std::string_view payload);

}  // namespace mc::wire
