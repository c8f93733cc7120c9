//! Which addresses live on a node, by the kernel's routes as the usual network plugins lay them.

use khan_agent::local_routes::LocalRoutes;
use khan_lab::{Host, Lab, Result};

use crate::support::ip;

/// A node whose uplink is itself a virtual pair, as where nodes are containers.
struct Node {
    host: Host,
    outside: Host,
}

impl Node {
    fn new(lab: &Lab) -> Result<Self> {
        let (host, outside) = (lab.host("node")?, lab.host("outside")?);
        let node = Self { host, outside };
        node.pair("eth0")?;
        node.run("ip address add 172.18.0.1/16 dev eth0")?;
        node.run("ip address add fd00:172:18::1/64 dev eth0 nodad")?;
        // The way to the router is a host route, which must not make the router a pod.
        node.run("ip route add 172.18.0.254/32 dev eth0")?;
        node.run("ip route add default via 172.18.0.254 dev eth0")?;
        node.run("ip -6 route add default via fd00:172:18::fe dev eth0")?;
        Ok(node)
    }

    fn run(&self, command: &str) -> Result {
        self.host.run(command.split(' ').collect::<Vec<_>>()).map(drop)
    }

    fn pair(&self, name: &str) -> Result {
        let peer = self.outside.path();
        self.run(&format!("ip link add {name} type veth peer name p{name} netns {peer}"))?;
        self.run(&format!("ip link set {name} up"))?;
        // Without its other end up it has no carrier, and IPv6 no routes.
        self.outside.run(["ip", "link", "set", &format!("p{name}"), "up"]).map(drop)
    }

    #[track_caller]
    fn assert(&self, here: &[&str], elsewhere: &[&str]) {
        let routes = self.host.enter(LocalRoutes::read).expect("routes of a namespace of ours can be read");
        for (texts, wanted) in [(here, true), (elsewhere, false)] {
            for text in texts {
                assert_eq!(routes.contain(ip(text).into()), wanted, "{text}");
            }
        }
    }
}

#[test]
fn the_node_itself_lives_here_and_its_neighbours_do_not() -> Result {
    let lab = Lab::new()?;
    let node = Node::new(&lab)?;
    node.assert(
        &["172.18.0.1", "fd00:172:18::1"],
        &["172.18.0.254", "172.18.0.2", "fd00:172:18::2", "10.244.1.5", "8.8.8.8", "2001:db8::1"],
    );
    Ok(())
}

#[test]
fn a_host_route_into_another_namespace_leads_to_a_pod() -> Result {
    let lab = Lab::new()?;
    let node = Node::new(&lab)?;
    node.pair("cali1")?;
    node.run("ip route add 10.244.1.5/32 dev cali1")?;
    node.run("ip -6 route add fd00:10:244:1::5/128 dev cali1")?;
    // Calico: the node's block is a black hole, and one address of it was lent to a pod of another node.
    node.run("ip route add blackhole 10.244.1.0/26")?;
    node.run("ip route add 10.244.1.7/32 via 172.18.0.2 dev eth0 onlink")?;
    node.run("ip route add 10.244.2.0/26 via 172.18.0.2 dev eth0 onlink")?;
    node.assert(&["10.244.1.5", "fd00:10:244:1::5"], &["10.244.1.6", "10.244.1.7", "10.244.2.5", "fd00:10:244:1::6"]);
    // Cilium's cilium_host is a pair with both ends on the node: whole pod ranges are routed to it, its own and others'.
    node.run("ip link add cilium_host type veth peer name cilium_net")?;
    node.run("ip link set cilium_host up")?;
    node.run("ip link set cilium_net up")?;
    node.run("ip route add 10.244.3.5/32 dev cilium_host")?;
    node.assert(&["10.244.1.5"], &["10.244.3.5"]);
    Ok(())
}

#[test]
fn a_bridge_of_pods_is_here_and_one_with_a_way_out_is_not() -> Result {
    let lab = Lab::new()?;
    let node = Node::new(&lab)?;
    node.run("ip link add cni0 type bridge")?;
    node.run("ip link set cni0 up")?;
    node.pair("veth1")?;
    node.run("ip link set veth1 master cni0")?;
    node.run("ip address add 10.244.1.1/24 dev cni0")?;
    // flannel: other nodes' ranges are behind an interface of its own. Not every kernel has vxlan; a pair will do.
    node.run("ip link add flannel.1 type veth peer name tunnel")?;
    node.run("ip address add 10.244.1.0/32 dev flannel.1")?;
    node.run("ip link set flannel.1 up")?;
    node.run("ip link set tunnel up")?;
    node.run("ip route add 10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink")?;
    node.assert(&["10.244.1.0", "10.244.1.1", "10.244.1.77"], &["10.244.2.0", "10.244.2.77"]);
    // As soon as a port leads elsewhere, the bridge is a network of many nodes.
    node.run("ip link set tunnel master cni0")?;
    node.assert(&["10.244.1.1"], &["10.244.1.77"]);
    Ok(())
}
