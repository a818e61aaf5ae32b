#include "ctl/io/pause.hpp"

#include <poll.h>

namespace svc::ctl {

void pause_for(Duration time) {
  const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(time).count();
  ::poll(nullptr, 0, static_cast<int>(milliseconds));
}

}  // namespace svc::ctl
