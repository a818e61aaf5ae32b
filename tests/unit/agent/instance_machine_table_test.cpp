// Every event in every situation. What is not in the table must change nothing.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>

#include "tests/unit/agent/instance_driver.hpp"

namespace svc::agent {
namespace {

using namespace test;

using Situation = std::pair<std::string, std::function<void(Driver&)>>;
using Event = std::pair<std::string, std::function<std::string(Driver&)>>;

std::vector<Situation> situations() {
  return {
      {"idle", [](Driver&) {}},
      {"looking at the port", [](Driver& d) { d.start(); }},
      {"port taken",
       [](Driver& d) {
         d.start();
         d.port_busy();
       }},
      {"looking again",
       [](Driver& d) {
         d.start();
         d.port_busy();
         d.tick_at_wake();
       }},
      {"starting",
       [](Driver& d) {
         d.start();
         d.port_free();
       }},
      {"running", [](Driver& d) { d.to_running(); }},
      {"drained",
       [](Driver& d) {
         d.to_running();
         d.drain();
       }},
      {"draining to restart",
       [](Driver& d) {
         d.to_running();
         d.restart();
       }},
      {"draining to end",
       [](Driver& d) {
         d.to_running();
         d.shut_down();
       }},
      {"unhealthy",
       [](Driver& d) {
         d.to_running();
         d.exited();
       }},
      {"unhealthy, to end",
       [](Driver& d) {
         d.to_running();
         d.exited();
         d.shut_down();
       }},
      {"stopping to restart",
       [](Driver& d) {
         d.to_running();
         d.restart();
         d.no_open_requests();
       }},
      {"stopping to end",
       [](Driver& d) {
         d.to_running();
         d.shut_down();
         d.no_open_requests();
       }},
      {"backing off",
       [](Driver& d) {
         d.to_running();
         d.exited();
         d.gone();
       }},
      {"failed", [](Driver& d) { d.to_failed(); }},
      {"stopped",
       [](Driver& d) {
         d.to_running();
         d.shut_down();
         d.no_open_requests();
         d.gone();
       }},
  };
}

std::vector<Event> events() {
  return {
      {"start", &Driver::start},
      {"restart", &Driver::restart},
      {"shut_down", &Driver::shut_down},
      {"drain", &Driver::drain},
      {"adopt", &Driver::adopt},
      {"port_free", &Driver::port_free},
      {"port_busy", &Driver::port_busy},
      {"launched", &Driver::launched},
      {"became_ready", &Driver::became_ready},
      {"good probe", [](Driver& d) { return d.probes("+"); }},
      {"three bad probes", [](Driver& d) { return d.probes("---"); }},
      {"no_open_requests", &Driver::no_open_requests},
      {"exited", [](Driver& d) { return d.exited(); }},
      {"gone", &Driver::gone},
      {"tick too early", &Driver::tick},
      {"tick", [](Driver& d) { return d.machine.wake_at() == TimePoint::max() ? d.tick() : d.tick_at_wake(); }},
  };
}

struct Effect {
  const char* actions;
  const char* state;
};

// A restart of a drained or failed instance, a shut_down of one that is on its way to a restart and the like change the
// goal alone; what follows from that is in instance_machine_test.cpp.
const std::map<std::pair<std::string, std::string>, Effect> kEffects = {
    {{"idle", "start"}, {"announce check_port", "starting"}},
    {{"idle", "restart"}, {"announce check_port", "starting"}},
    {{"idle", "shut_down"}, {"announce end", "stopped"}},
    {{"idle", "adopt"}, {"announce", "starting"}},

    {{"looking at the port", "shut_down"}, {"announce end", "stopped"}},
    {{"looking at the port", "port_free"}, {"launch", "starting"}},
    {{"looking at the port", "port_busy"}, {"announce", "port_taken"}},

    {{"port taken", "restart"}, {"check_port", "port_taken"}},
    {{"port taken", "shut_down"}, {"announce end", "stopped"}},
    {{"port taken", "tick"}, {"check_port", "port_taken"}},

    {{"looking again", "shut_down"}, {"announce end", "stopped"}},
    {{"looking again", "port_free"}, {"announce launch", "starting"}},
    {{"looking again", "port_busy"}, {"", "port_taken"}},

    {{"starting", "restart"}, {"announce stop(10s)", "stopping"}},
    {{"starting", "shut_down"}, {"announce stop(10s)", "stopping"}},
    {{"starting", "became_ready"}, {"announce watch", "running"}},
    {{"starting", "exited"}, {"announce stop(10s)", "unhealthy"}},
    {{"starting", "gone"}, {"announce", "backing_off"}},
    {{"starting", "tick"}, {"announce stop(10s)", "unhealthy"}},

    {{"running", "restart"}, {"announce", "draining"}},
    {{"running", "shut_down"}, {"announce", "draining"}},
    {{"running", "drain"}, {"announce", "draining"}},
    {{"running", "three bad probes"}, {"announce stop(10s)", "unhealthy"}},
    {{"running", "exited"}, {"announce stop(10s)", "unhealthy"}},
    {{"running", "gone"}, {"announce", "backing_off"}},

    {{"drained", "restart"}, {"", "draining"}},
    {{"drained", "shut_down"}, {"", "draining"}},
    {{"drained", "three bad probes"}, {"announce stop(10s)", "unhealthy"}},
    {{"drained", "exited"}, {"announce stop(10s)", "unhealthy"}},
    {{"drained", "gone"}, {"announce", "backing_off"}},

    {{"draining to restart", "three bad probes"}, {"announce stop(10s)", "unhealthy"}},
    {{"draining to restart", "no_open_requests"}, {"announce stop(10s)", "stopping"}},
    {{"draining to restart", "exited"}, {"announce stop(10s)", "stopping"}},
    {{"draining to restart", "gone"}, {"announce check_port", "starting"}},
    {{"draining to restart", "tick"}, {"announce stop(10s)", "stopping"}},

    {{"draining to end", "three bad probes"}, {"announce stop(10s)", "unhealthy"}},
    {{"draining to end", "no_open_requests"}, {"announce stop(10s)", "stopping"}},
    {{"draining to end", "exited"}, {"announce stop(10s)", "stopping"}},
    {{"draining to end", "gone"}, {"announce end", "stopped"}},
    {{"draining to end", "tick"}, {"announce stop(10s)", "stopping"}},

    {{"unhealthy", "gone"}, {"announce", "backing_off"}},
    {{"unhealthy, to end", "gone"}, {"announce end", "stopped"}},
    {{"stopping to restart", "gone"}, {"announce check_port", "starting"}},
    {{"stopping to end", "gone"}, {"announce end", "stopped"}},

    {{"backing off", "restart"}, {"announce check_port", "starting"}},
    {{"backing off", "shut_down"}, {"announce end", "stopped"}},
    {{"backing off", "tick"}, {"announce check_port", "starting"}},

    {{"failed", "restart"}, {"announce check_port", "starting"}},
    {{"failed", "shut_down"}, {"announce end", "stopped"}},
};

TEST(InstanceMachineTable, EveryEventInEverySituation) {
  std::size_t found = 0;
  for (const auto& [situation, reach] : situations()) {
    for (const auto& [event, happen] : events()) {
      SCOPED_TRACE(situation + " + " + event);
      Driver d;
      reach(d);
      const auto state_before = std::string(d.state());
      const auto wake_before = d.machine.wake_at();
      const auto since_before = d.machine.state_since();
      const bool processes_before = d.machine.processes_exist();
      d.now += 1ns;
      const auto actions = happen(d);
      const auto expected = kEffects.find({situation, event});
      if (expected == kEffects.end()) {
        EXPECT_EQ(actions, "");
        EXPECT_EQ(d.state(), state_before);
        EXPECT_EQ(d.machine.wake_at(), wake_before);
        EXPECT_EQ(d.machine.processes_exist(), processes_before);
      } else {
        ++found;
        EXPECT_EQ(actions, expected->second.actions);
        EXPECT_EQ(d.state(), expected->second.state);
      }
      EXPECT_EQ(d.machine.state_since(), d.state() == state_before ? since_before : d.now);
      EXPECT_EQ(actions.find("announce") != std::string::npos, d.state() != state_before) << "each change is told once";
    }
  }
  EXPECT_EQ(found, kEffects.size()) << "a row of the table names no situation or event";
}

TEST(InstanceMachineTable, Timers_InEverySituation) {
  const std::map<std::string, Duration> expected = {
      {"port taken", 2s},       {"starting", 60s},   {"draining to restart", 30s},
      {"draining to end", 30s}, {"backing off", 5s},
  };
  for (const auto& [situation, reach] : situations()) {
    Driver d;
    reach(d);
    const auto timer = expected.find(situation);
    EXPECT_EQ(d.machine.wake_at(), timer == expected.end() ? TimePoint::max() : d.now + timer->second) << situation;
  }
}

TEST(InstanceMachineTable, Processes_InEverySituation) {
  const std::string none[] = {"idle",   "looking at the port", "port taken", "looking again", "backing off", "failed",
                              "stopped"};
  for (const auto& [situation, reach] : situations()) {
    Driver d;
    reach(d);
    const bool without = std::find(std::begin(none), std::end(none), situation) != std::end(none);
    EXPECT_EQ(d.machine.processes_exist(), !without) << situation;
    EXPECT_EQ(d.machine.ready(), situation == "running") << situation;
    EXPECT_EQ(d.machine.since_start().has_value(), !without) << situation;
    EXPECT_EQ(d.machine.since_ready().has_value(), !without && situation != "starting") << situation;
  }
}

TEST(InstanceMachineTable, Words) {
  const struct {
    InstanceState state;
    const char *word, *status;
  } rows[] = {
      {InstanceState::idle, "idle", "starting"},
      {InstanceState::port_taken, "port_taken", "unhealthy"},
      {InstanceState::starting, "starting", "starting"},
      {InstanceState::running, "running", "running"},
      {InstanceState::unhealthy, "unhealthy", "unhealthy"},
      {InstanceState::draining, "draining", "draining"},
      {InstanceState::stopping, "stopping", "draining"},
      {InstanceState::backing_off, "backing_off", "unhealthy"},
      {InstanceState::failed, "failed", "failed"},
      {InstanceState::stopped, "stopped", "stopped"},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(to_string(row.state), row.word);
    EXPECT_EQ(registry_status(row.state), row.status);
  }
}

}  // namespace
}  // namespace svc::agent
