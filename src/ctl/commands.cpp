#include "ctl/commands.hpp"

#include <array>

namespace svc::ctl {

std::span<const Command> commands() {
  static constexpr std::array kCommands{
      Command{"status", "Show this host's daemons and the fleet's services, and whether all is well", declare_status},
      Command{"check", "Check the files, ports, addresses and the disk before a start, a line each", declare_check},
      Command{"plan", "Say what of a configuration folder belongs to this host, and how it is started", declare_plan},
      Command{"launch", "Start a daemon apart from the terminal, with a PID file", declare_launch},
      Command{"pid", "Print the PID of a daemon that was launched, if it runs", declare_pid},
      Command{"stop", "End a daemon that was launched, and say how far its drain is", declare_stop},
      Command{"wait", "Wait until a daemon or a service is ready, and say how far it is", declare_wait},
      Command{"wait-routed", "Wait until the router uses services that are ready", declare_wait_routed},
      Command{"generate-config", "Write a configuration of nginx or HAProxy for the instances that are there",
              declare_generate_config},
  };
  return kCommands;
}

}  // namespace svc::ctl
