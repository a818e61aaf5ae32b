#include "ctl/commands.hpp"

#include <array>

namespace svc::ctl {

std::span<const Command> commands() {
  static constexpr std::array kCommands{
      Command{"wait", "Wait until a daemon or a service is ready, and say how far it is", declare_wait},
      Command{"generate-config", "Write a configuration of nginx or HAProxy for the instances that are there",
              declare_generate_config},
  };
  return kCommands;
}

}  // namespace svc::ctl
