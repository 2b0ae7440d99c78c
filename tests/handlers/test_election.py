async def test_only_the_leader_writes_and_the_next_takes_over(lab):
    lab.api.cluster.create(lab.tuning("all"))
    async with lab.operator("first", leader_elect=True):
        await lab.eventually(lambda: lab.planned() == {"web": 30})
        async with lab.operator("second", leader_elect=True) as second:
            await lab.started()
            lab.api.cluster.create(lab.pod("more", "40"))
            await lab.eventually(lambda: lab.planned() == {"web": 30, "more": 40})
            assert len(lab.api.journal.watches("pods")) == 1
            assert not second.done()


async def test_an_operator_that_loses_its_lease_exits_with_a_failure(lab):
    lab.api.cluster.create(lab.tuning("all"))
    async with lab.operator(leader_elect=True) as task:
        await lab.eventually(lambda: lab.planned() == {"web": 30})
        change = {"holderIdentity": "thief", "renewTime": "2026-01-01T00:00:00.000000Z"}
        lab.api.cluster.patch("leases", "damon-operator", {"spec": change})
        assert await task == 1
