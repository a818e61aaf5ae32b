#include "router/app.hpp"

int main(int argc, char** argv) { return svc::run_daemon(argc, argv, svc::router::router_daemon()); }
