#include "agent/app.hpp"
#include "agent/io/shim/shim.hpp"

int main(int argc, char** argv) {
  if (svc::agent::is_shim(argc, argv)) {
    return svc::agent::run_shim();
  }
  return svc::run_daemon(argc, argv, svc::agent::agent_daemon());
}
