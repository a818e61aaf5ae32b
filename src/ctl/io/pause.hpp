// Waiting between two looks.
#pragma once

#include "common/core/clock.hpp"

namespace svc::ctl {

/// Blocks for that long; a signal that ends the process ends it at once.
void pause_for(Duration time);

/// The pauses while something is waited for: longer and longer, since each look is a line in an access log.
class GrowingPause {
 public:
  /// The next one, at most that long.
  void pause(Duration at_most);

 private:
  Duration next_ = std::chrono::milliseconds(50);
};

}  // namespace svc::ctl
