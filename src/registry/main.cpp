#include "registry/app.hpp"

int main(int argc, char** argv) { return svc::run_daemon(argc, argv, svc::registry::registry_daemon()); }
