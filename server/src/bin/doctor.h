// `maestro doctor`: what it looks at on this machine and in the data folder. Changes nothing.
#pragma once

#include <string>
#include <vector>

#include "cli/doors.h"

namespace mc::bin {

std::vector<cli::DoctorLine> check_machine();
std::vector<cli::DoctorLine> check_data(const std::string& data, const cli::Doors& doors);

}  // namespace mc::bin
