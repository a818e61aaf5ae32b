#include "ctl/commands.hpp"

#include <array>

namespace svc::ctl {

std::span<const Command> commands() {
  static constexpr std::array kCommands{
      Command{"wait", "Wait until a daemon or a service is ready, and say how far it is", declare_wait},
  };
  return kCommands;
}

}  // namespace svc::ctl
