#include "agent/io/instance_impl.hpp"

namespace svc::agent {

InstanceView Instance::view() const {
  const Impl& my = *impl_;
  const TimePoint now = steady_now();
  InstanceView view;
  view.name = my.settings.name;
  view.service_type = my.settings.service_type;
  view.host = my.settings.host;
  view.state = to_string(my.machine.state());
  view.status = my.status();
  view.port = my.settings.port;
  view.engine_port = my.engine_port;
  view.ready = my.machine.ready();
  view.processes = my.machine.processes_exist();
  if (my.run) {
    for (const pid_t pid : my.run->ranks) {
      if (pid != 0) {
        view.pids.push_back(pid);
      }
    }
    view.shim = my.run->shim;
  }
  view.restarts = my.machine.restarts();
  view.state_for = now - my.machine.state_since();
  view.up_for = my.machine.since_start() ? now - *my.machine.since_start() : Duration{};
  view.ready_for = my.machine.since_ready() ? now - *my.machine.since_ready() : Duration{};
  view.exits.assign(my.exits.begin(), my.exits.end());
  view.exit_counts = my.exit_counts;
  view.last_line = my.last_line;
  view.models = my.models;
  view.load = my.load;
  view.registered = my.own_entry.enrolled();
  view.engine_registered = my.engine_entry.enrolled();
  view.probe_failures = my.machine.failures_in_a_row();
  view.log_lines_lost = my.log_lines_lost;
  view.log_file = my.settings.log_file;
  view.agent_started = my.agent_started;
  return view;
}

StartFacts Instance::start_facts() const {
  const Impl& my = *impl_;
  return {my.settings.name, my.machine.state(), steady_now() - my.machine.state_since(),
          !my.settings.registry_url.empty(), my.engine_entry.enrolled()};
}

EngineAccess Instance::engine() const { return impl_->engine(); }
void Instance::set_engine_key(std::string key) { impl_->engine_key = std::move(key); }

}  // namespace svc::agent
