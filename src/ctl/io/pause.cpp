#include "ctl/io/pause.hpp"

#include <poll.h>

#include <algorithm>

namespace svc::ctl {

void pause_for(Duration time) {
  const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(time).count();
  ::poll(nullptr, 0, static_cast<int>(milliseconds));
}

void GrowingPause::pause(Duration at_most) {
  constexpr Duration kLongest = std::chrono::seconds(1);
  pause_for(std::min(next_, at_most));
  next_ = std::min(next_ * 3 / 2, kLongest);
}

}  // namespace svc::ctl
