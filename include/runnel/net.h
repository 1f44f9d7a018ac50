#pragma once
// Input and output over networks: an umbrella.

#include "runnel/net/conn.h"
#include "runnel/net/dial.h"
#include "runnel/net/endpoint.h"
#include "runnel/net/error.h"
#include "runnel/net/fd_wait.h"
#include "runnel/net/handover.h"
#include "runnel/net/listener.h"
#include "runnel/net/packet_conn.h"
#include "runnel/net/systemd.h"
