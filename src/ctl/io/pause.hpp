// Waiting between two looks.
#pragma once

#include "common/core/clock.hpp"

namespace svc::ctl {

/// Blocks for that long; a signal that ends the process ends it at once.
void pause_for(Duration time);

}  // namespace svc::ctl
