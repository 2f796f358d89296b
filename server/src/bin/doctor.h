// `maestro doctor`: what it looks at on this machine, in the data folder and at the services that
// the settings name. Changes nothing.
#pragma once

#include <string>
#include <vector>

#include "cli/doors.h"

namespace mc::bin {

std::vector<cli::DoctorLine> check_machine();
std::vector<cli::DoctorLine> check_data(const std::string& data, const cli::Doors& doors);
// Waits for each some seconds at most.
std::vector<cli::DoctorLine> check_services();

}  // namespace mc::bin
